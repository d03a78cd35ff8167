package main

import (
	"errors"
	"io"
	"os"
	"time"

	"cosmossdk.io/log"
	upgradecli "cosmossdk.io/x/upgrade/client/cli"
	cmtcfg "github.com/cometbft/cometbft/config"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	clientconfig "github.com/cosmos/cosmos-sdk/client/config"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/keys"
	"github.com/cosmos/cosmos-sdk/server"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	authcli "github.com/cosmos/cosmos-sdk/x/auth/client/cli"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	genutilcli "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	govcli "github.com/cosmos/cosmos-sdk/x/gov/client/cli"
)

// blockTime is the pause after each block.
const blockTime = 500 * time.Millisecond

func rootCommand() *cobra.Command {
	made, err := compose(log.NewNopLogger(), noOptions{})
	if err != nil {
		panic(err)
	}
	base := client.Context{}.
		WithCodec(made.codec).
		WithInterfaceRegistry(made.registry).
		WithLegacyAmino(made.amino).
		WithTxConfig(made.txConfig).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithInput(os.Stdin).
		WithViper("CHAIND")

	root := &cobra.Command{
		Use:           "chaind",
		Short:         "a small chain to be upgraded, release " + release,
		SilenceErrors: false,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(cmd.OutOrStdout())
			cmd.SetErr(cmd.ErrOrStderr())
			ctx, err := client.ReadPersistentCommandFlags(base.WithCmdContext(cmd.Context()), cmd.Flags())
			if err != nil {
				return err
			}
			if ctx, err = clientconfig.ReadFromClientConfig(ctx); err != nil {
				return err
			}
			if err := client.SetCmdClientContextHandler(ctx, cmd); err != nil {
				return err
			}
			return server.InterceptConfigsPreRunHandler(cmd,
				serverconfig.DefaultConfigTemplate, appConfig(), cometConfig())
		},
	}

	tx := &cobra.Command{Use: "tx", Short: "send transactions", RunE: client.ValidateCmd}
	tx.AddCommand(govcli.NewTxCmd(nil), upgradecli.GetTxCmd(made.txConfig.SigningContext().AddressCodec()))
	tx.PersistentFlags().String(flags.FlagChainID, "", "the chain's id")
	query := &cobra.Command{Use: "query", Short: "ask the node", RunE: client.ValidateCmd}
	query.AddCommand(authcli.QueryTxCmd(), server.QueryBlockCmd())

	root.AddCommand(
		genutilcli.InitCmd(made.basics, ""),
		genutilcli.Commands(made.txConfig, made.basics, ""),
		keys.Commands(),
		server.StatusCommand(),
		tx,
		query,
	)
	server.AddCommandsWithStartCmdOptions(root, "", newChain, noExport, server.StartCmdOptions{
		AddFlags: func(start *cobra.Command) {
			start.Flags().Bool(flagOptimistic, false, "execute a block when it is proposed, not when it is decided")
		},
	})
	return root
}

// noOptions stands for the command line and the files when only the codecs are wanted.
type noOptions struct{}

func (noOptions) Get(string) any { return nil }

func cometConfig() *cmtcfg.Config {
	config := cmtcfg.DefaultConfig()
	config.Consensus.TimeoutCommit = blockTime
	return config
}

func appConfig() any {
	config := serverconfig.DefaultConfig()
	config.MinGasPrices = "0stake"
	config.API.Enable = true
	return *config
}

func noExport(log.Logger, dbm.DB, io.Writer, int64, bool, []string, servertypes.AppOptions, []string) (servertypes.ExportedApp, error) {
	return servertypes.ExportedApp{}, errors.New("chaind has no export")
}
