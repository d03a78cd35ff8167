# What every scenario stands on: the two releases, a one-validator chain, the supervisor, and what can
# be seen of them from outside. Sourced by ./run; every wait has a deadline, every process an owner.

readonly CHAIN_ID=baton-1
readonly DAEMON=chaind

# --- saying and waiting ------------------------------------------------------------------------

say() { printf '%s %-10s %s\n' "$(date +%T)" "${SCENARIO:-}" "$*" >&2; }

# A check that failed: the scenario goes on, to see the rest, and fails at its end.
failed() {
    say "FAILED: $*"
    printf '%s\n' "$*" >>"$FAILURES"
}

# Without this nothing further can be seen: the scenario ends here, failed.
give_up() {
    failed "$*"
    exit 1
}

# wait_for SECONDS COMMAND…: true as soon as the command is, false after the deadline.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# --- the releases ------------------------------------------------------------------------------

# One lock for all runs at once: whoever comes second finds the binaries made.
build_releases() {
    mkdir -p "$BINARIES"
    (
        flock --timeout 1800 9 || { say "no lock on $BINARIES/.lock within 30 minutes"; exit 1; }
        local release newest
        newest=$(find "$HERE/chain" -type f -printf '%T@\n' | sort -n | tail -1)
        for release in v1 v2; do
            if [[ -x $BINARIES/$release ]] &&
                awk -v a="$(stat -c %.9Y "$BINARIES/$release")" -v b="$newest" 'BEGIN { exit !(a >= b) }'; then
                continue
            fi
            say "building release $release (minutes the first time)"
            (cd "$HERE/chain" && CGO_ENABLED=0 go build -p 2 -trimpath -buildvcs=false \
                -ldflags "-s -w -X main.release=$release" -o "$BINARIES/$release.new" .) || exit 1
            mv "$BINARIES/$release.new" "$BINARIES/$release"
        done
    ) 9>"$BINARIES/.lock"
}

# --- a chain of one validator ------------------------------------------------------------------

chaind() { timeout 60 "$BINARIES/v1" "$@" --home "$NODE_HOME"; }

set_toml() { # FILE KEY VALUE [SECTION]
    local file=$NODE_HOME/config/$1
    if [[ -n ${4:-} ]]; then
        sed -i "/^\[$4\]/,/^\[/ s|^$2 = .*|$2 = $3|" "$file"
    else
        sed -i "s|^$2 = .*|$2 = $3|" "$file"
    fi
}

free_ports() {
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
PY
}

make_home() {
    NODE_HOME=$WORK/home
    PLAN_FILE=$NODE_HOME/data/upgrade-info.json
    mkdir -p "$NODE_HOME"
    {
        chaind init validator --chain-id $CHAIN_ID
        chaind keys add validator --keyring-backend test
        chaind genesis add-genesis-account validator 1000000000stake --keyring-backend test
        chaind genesis gentx validator 500000000stake --chain-id $CHAIN_ID --keyring-backend test
    } >"$WORK/make-home.log" 2>&1 || give_up "the home could not be made, see $WORK/make-home.log"
    local genesis=$NODE_HOME/config/genesis.json
    jq '.app_state.gov.params |= (.voting_period = "3s" | .expedited_voting_period = "2s"
            | .max_deposit_period = "10s" | .min_deposit[0].amount = "1")' \
        "$genesis" >"$genesis.new" && mv "$genesis.new" "$genesis"
    chaind genesis collect-gentxs >>"$WORK/make-home.log" 2>&1 || give_up "collect-gentxs, see $WORK/make-home.log"

    local p2p grpc api
    read -r RPC_PORT p2p grpc api < <(free_ports 4)
    RPC=http://127.0.0.1:$RPC_PORT
    API=http://127.0.0.1:$api
    set_toml config.toml laddr "\"tcp://127.0.0.1:$RPC_PORT\"" rpc
    set_toml config.toml pprof_laddr '""' rpc
    set_toml config.toml laddr "\"tcp://127.0.0.1:$p2p\"" p2p
    set_toml app.toml address "\"tcp://127.0.0.1:$api\"" api
    set_toml app.toml address "\"127.0.0.1:$grpc\"" grpc
    # `chaind status` finds the node through this file, and Cosmovisor the height through `chaind status`.
    set_toml client.toml node "\"tcp://127.0.0.1:$RPC_PORT\""
    GRPC=127.0.0.1:$grpc
}

# --- the supervisor ----------------------------------------------------------------------------

# Its whole environment: nothing of the caller's leaks in. CHAIN_RUN_ID marks what it starts.
set_environment() {
    ENVIRONMENT=(PATH="$PATH" HOME="$WORK" CHAIN_RUN_ID="$RUN_ID" COSMOVISOR_COLOR_LOGS=false
        DAEMON_NAME=$DAEMON DAEMON_HOME="$NODE_HOME" DAEMON_GRPC_ADDRESS="$GRPC" "${SETTINGS[@]}")
}

init_supervisor() {
    set_environment
    env -i "${ENVIRONMENT[@]}" "$SUPERVISOR" init "$BINARIES/v1" >"$WORK/init.log" 2>&1 </dev/null ||
        give_up "'init' ended with $?, see $WORK/init.log"
    cp "$BINARIES/v1" "$WORK/chaind-v1"
}

provide_v2() {
    mkdir -p "$NODE_HOME/cosmovisor/upgrades/v2/bin"
    cp "$BINARIES/v2" "$NODE_HOME/cosmovisor/upgrades/v2/bin/$DAEMON"
}

start_supervisor() {
    env -i "${ENVIRONMENT[@]}" "$SUPERVISOR" run start --home "$NODE_HOME" --log_no_color "${NODE_FLAGS[@]}" \
        >>"$LOG" 2>&1 </dev/null &
    SUPERVISOR_PID=$!
    say "supervisor started, pid $SUPERVISOR_PID"
}

# Everything alive that the supervisor or its node started, and they themselves.
members() {
    local environ
    for environ in /proc/[0-9]*/environ; do
        if grep -qsz "^CHAIN_RUN_ID=$RUN_ID\$" "$environ" 2>/dev/null; then
            environ=${environ#/proc/}
            printf '%s\n' "${environ%/environ}"
        fi
    done
}

# The node is the member whose executable is one of the releases of this home.
node_pid() {
    local pid exe
    for pid in $(members); do
        exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || continue
        if [[ $exe == "$NODE_HOME/cosmovisor/"*"/bin/$DAEMON" ]]; then
            printf '%s\n' "$pid"
            return
        fi
    done
    return 1
}

node_exe() {
    local pid
    pid=$(node_pid) && readlink "/proc/$pid/exe"
}

nobody_left() { [[ -z $(members) ]]; }

# As systemd does with a control group whose main process was killed: nobody survives.
kill_all() {
    local pid
    for pid in $(members); do kill -KILL "$pid" 2>/dev/null; done
    wait_for 10 nobody_left || failed "processes left after SIGKILL: $(members | tr '\n' ' ')"
    [[ -z ${SUPERVISOR_PID:-} ]] || wait "$SUPERVISOR_PID" 2>/dev/null
}

supervisor_ended() { [[ ! -d /proc/$SUPERVISOR_PID || $(awk '/^State:/ { print $2 }' "/proc/$SUPERVISOR_PID/status" 2>/dev/null) == Z ]]; }

# Waits for the supervisor to end and sets ENDED_WITH to its code; false at the deadline.
await_supervisor() {
    wait_for "$1" supervisor_ended || return 1
    wait "$SUPERVISOR_PID"
    ENDED_WITH=$?
}

# --- what can be seen --------------------------------------------------------------------------

status() { curl -fsS --max-time 2 "$RPC/status" 2>/dev/null; }
height() { status | jq -er '.result.sync_info.latest_block_height | tonumber'; }
app_height() { curl -fsS --max-time 2 "$RPC/abci_info" 2>/dev/null | jq -er '.result.response.last_block_height | tonumber'; }
reached() {
    local now
    now=$(height) && ((now >= $1))
}

# Two lines a second or more, for the whole scenario: time, height, hash. Reads only.
observe() {
    while [[ -d $WORK ]]; do
        status | jq -r --arg at "$EPOCHREALTIME" \
            '[$at, .result.sync_info.latest_block_height, .result.sync_info.latest_block_hash] | join(" ")' 2>/dev/null
        sleep 0.1
    done >>"$OBSERVED"
}

plan_written() { [[ -s $PLAN_FILE ]]; }
signed_height() { jq -er '.height | tonumber' "$1/priv_validator_state.json"; }
backups() { find "$BACKUPS" -maxdepth 1 -name 'data-backup-*' -printf '%f\n' 2>/dev/null | sort; }
count() { # in the log: EXPRESSION
    grep -acE "$1" "$LOG" || true
}

# Gives up at the deadline, and at once when nothing is left that could make a block.
await_height() { # HEIGHT SECONDS
    reached_or_dead() { reached "$1" || supervisor_ended; }
    wait_for "$2" reached_or_dead "$1"
    reached "$1" && return
    if supervisor_ended; then
        give_up "height $1 not reached: the supervisor ended: $(tail -n 1 "$LOG")"
    else
        give_up "height $1 not reached after $2 s: the supervisor is up, the node runs $(node_exe || echo not)"
    fi
}

# --- governance --------------------------------------------------------------------------------

send() { # ARGUMENTS OF tx…
    local answer hash
    answer=$(chaind tx "$@" --from validator --keyring-backend test --chain-id $CHAIN_ID \
        --gas 500000 --yes --output json 2>>"$WORK/tx.log") || give_up "tx $1 $2 was not accepted, see $WORK/tx.log"
    [[ $(jq -r .code <<<"$answer") == 0 ]] || give_up "tx $1 $2 was refused: $(jq -r .raw_log <<<"$answer")"
    hash=$(jq -r .txhash <<<"$answer")
    included() { curl -fsS --max-time 2 "$RPC/tx?hash=0x$hash" 2>/dev/null >"$WORK/tx.json"; }
    wait_for 15 included || give_up "tx $1 $2 is in no block after 15 s"
    [[ $(jq -r .result.tx_result.code "$WORK/tx.json") == 0 ]] ||
        give_up "tx $1 $2 failed: $(jq -r .result.tx_result.log "$WORK/tx.json")"
}

proposal_passed() {
    [[ $(curl -fsS --max-time 2 "$API/cosmos/gov/v1/proposals/1" 2>/dev/null | jq -r .proposal.status) == PROPOSAL_STATUS_PASSED ]]
}

# Votes the plan v2 in, 16 blocks from now, with the given info; sets UPGRADE_HEIGHT.
vote_upgrade() {
    await_height 2 60
    UPGRADE_HEIGHT=$(($(height) + 16))
    PLAN_INFO=$1
    send upgrade software-upgrade v2 --title "v2" --summary "to release v2" --deposit 1stake \
        --upgrade-height $UPGRADE_HEIGHT --upgrade-info "$PLAN_INFO" --no-validate
    send gov vote 1 yes
    wait_for 15 proposal_passed || give_up "the proposal has not passed within 15 s"
    reached "$UPGRADE_HEIGHT" && give_up "the proposal passed after its height, $UPGRADE_HEIGHT"
    say "plan v2 at height $UPGRADE_HEIGHT voted in at $(height)"
}
