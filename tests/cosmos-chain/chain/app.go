package main

import (
	"context"
	"fmt"
	"io"

	runtimev1alpha1 "cosmossdk.io/api/cosmos/app/runtime/v1alpha1"
	appv1alpha1 "cosmossdk.io/api/cosmos/app/v1alpha1"
	authmodule "cosmossdk.io/api/cosmos/auth/module/v1"
	authzmodule "cosmossdk.io/api/cosmos/authz/module/v1"
	bankmodule "cosmossdk.io/api/cosmos/bank/module/v1"
	consensusmodule "cosmossdk.io/api/cosmos/consensus/module/v1"
	distributionmodule "cosmossdk.io/api/cosmos/distribution/module/v1"
	genutilmodule "cosmossdk.io/api/cosmos/genutil/module/v1"
	govmodule "cosmossdk.io/api/cosmos/gov/module/v1"
	stakingmodule "cosmossdk.io/api/cosmos/staking/module/v1"
	txconfig "cosmossdk.io/api/cosmos/tx/config/v1"
	upgrademodule "cosmossdk.io/api/cosmos/upgrade/module/v1"
	"cosmossdk.io/core/appconfig"
	"cosmossdk.io/depinject"
	"cosmossdk.io/log"
	storetypes "cosmossdk.io/store/types"
	_ "cosmossdk.io/x/upgrade" // the modules register themselves
	upgradekeeper "cosmossdk.io/x/upgrade/keeper"
	upgradetypes "cosmossdk.io/x/upgrade/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/spf13/cast"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/server"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	_ "github.com/cosmos/cosmos-sdk/x/auth"
	_ "github.com/cosmos/cosmos-sdk/x/auth/tx/config"
	_ "github.com/cosmos/cosmos-sdk/x/authz/module"
	_ "github.com/cosmos/cosmos-sdk/x/bank"
	_ "github.com/cosmos/cosmos-sdk/x/consensus"
	_ "github.com/cosmos/cosmos-sdk/x/distribution"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	_ "github.com/cosmos/cosmos-sdk/x/gov"
	_ "github.com/cosmos/cosmos-sdk/x/staking"
)

const (
	// planName is the upgrade that release v2 can carry out.
	planName = "v2"
	// newStore is the store of the module that v2 adds.
	newStore = "authz"
	// flagOptimistic turns on optimistic execution: a block is executed when it is proposed, not when
	// it is decided. Many production chains run so, and then upgrade-info.json appears earlier.
	flagOptimistic = "optimistic-execution"
)

// parts is what dependency injection hands out.
type parts struct {
	builder  *runtime.AppBuilder
	upgrade  *upgradekeeper.Keeper
	codec    codec.Codec
	registry codectypes.InterfaceRegistry
	amino    *codec.LegacyAmino
	txConfig client.TxConfig
	basics   module.BasicManager
}

// compose wires the modules of this release.
func compose(logger log.Logger, options servertypes.AppOptions) (parts, error) {
	var made parts
	err := depinject.Inject(
		depinject.Configs(
			moduleConfig(),
			depinject.Supply(
				logger,
				options,
				map[string]module.AppModuleBasic{
					genutiltypes.ModuleName: genutil.NewAppModuleBasic(genutiltypes.DefaultMessageValidator),
				},
			),
		),
		&made.builder, &made.upgrade, &made.codec, &made.registry, &made.amino, &made.txConfig, &made.basics,
	)
	if err != nil {
		return parts{}, fmt.Errorf("composing the modules of release %s: %w", release, err)
	}
	return made, nil
}

// newChain opens the chain's database and makes the application ready to execute blocks.
func newChain(logger log.Logger, db dbm.DB, trace io.Writer, options servertypes.AppOptions) servertypes.Application {
	made, err := compose(logger, options)
	if err != nil {
		panic(err)
	}
	appOptions := server.DefaultBaseappOptions(options)
	if cast.ToBool(options.Get(flagOptimistic)) {
		appOptions = append(appOptions, baseapp.SetOptimisticExecution())
	}
	app := made.builder.Build(db, trace, appOptions...)
	if release == "v2" {
		if err := acceptPlan(app, made.upgrade); err != nil {
			panic(err)
		}
	}
	if err := app.Load(true); err != nil {
		panic(fmt.Errorf("loading the state: %w", err))
	}
	return app
}

// acceptPlan registers the handler of the plan and, at its height only, the store it adds.
func acceptPlan(app *runtime.App, keeper *upgradekeeper.Keeper) error {
	keeper.SetUpgradeHandler(planName,
		func(ctx context.Context, _ upgradetypes.Plan, from module.VersionMap) (module.VersionMap, error) {
			return app.ModuleManager.RunMigrations(ctx, app.Configurator(), from)
		})
	info, err := keeper.ReadUpgradeInfoFromDisk()
	if err != nil {
		return fmt.Errorf("reading data/upgrade-info.json: %w", err)
	}
	if info.Name == planName && !keeper.IsSkipHeight(info.Height) {
		app.SetStoreLoader(upgradetypes.UpgradeStoreLoader(info.Height,
			&storetypes.StoreUpgrades{Added: []string{newStore}}))
	}
	return nil
}

func moduleConfig() depinject.Config {
	beginBlockers := []string{"distribution", "staking"}
	endBlockers := []string{"gov", "staking"}
	genesis := []string{"auth", "bank", "distribution", "staking", "gov", "genutil", "upgrade", "consensus"}
	var added []*appv1alpha1.ModuleConfig
	if release == "v2" {
		beginBlockers = append(beginBlockers, newStore)
		genesis = append(genesis, newStore)
		added = append(added, &appv1alpha1.ModuleConfig{
			Name: newStore, Config: appconfig.WrapAny(&authzmodule.Module{}),
		})
	}
	modules := []*appv1alpha1.ModuleConfig{
		{Name: "runtime", Config: appconfig.WrapAny(&runtimev1alpha1.Module{
			AppName:       "chaind",
			PreBlockers:   []string{"upgrade", "auth"},
			BeginBlockers: beginBlockers,
			EndBlockers:   endBlockers,
			InitGenesis:   genesis,
			OverrideStoreKeys: []*runtimev1alpha1.StoreKeyConfig{
				{ModuleName: "auth", KvStoreKey: "acc"},
			},
		})},
		{Name: "auth", Config: appconfig.WrapAny(&authmodule.Module{
			Bech32Prefix: "cosmos",
			ModuleAccountPermissions: []*authmodule.ModuleAccountPermission{
				{Account: "fee_collector"},
				{Account: "distribution"},
				{Account: "bonded_tokens_pool", Permissions: []string{"burner", "staking"}},
				{Account: "not_bonded_tokens_pool", Permissions: []string{"burner", "staking"}},
				{Account: "gov", Permissions: []string{"burner"}},
			},
		})},
		{Name: "bank", Config: appconfig.WrapAny(&bankmodule.Module{})},
		{Name: "staking", Config: appconfig.WrapAny(&stakingmodule.Module{})},
		{Name: "distribution", Config: appconfig.WrapAny(&distributionmodule.Module{})},
		{Name: "gov", Config: appconfig.WrapAny(&govmodule.Module{})},
		{Name: "upgrade", Config: appconfig.WrapAny(&upgrademodule.Module{})},
		{Name: "consensus", Config: appconfig.WrapAny(&consensusmodule.Module{})},
		{Name: "genutil", Config: appconfig.WrapAny(&genutilmodule.Module{})},
		{Name: "tx", Config: appconfig.WrapAny(&txconfig.Config{})},
	}
	return appconfig.Compose(&appv1alpha1.Config{Modules: append(modules, added...)})
}
