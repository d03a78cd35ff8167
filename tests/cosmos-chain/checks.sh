# What a scenario does at and after the height, what must be true then, and the facts it notes on the way.

note() { # KEY JSON
    local noted
    noted=$(jq -c --arg key "$1" --argjson value "$2" '. + {($key): $value}' "$FACTS") && printf '%s\n' "$noted" >"$FACTS"
}
note_text() { note "$1" "$(jq -nc --arg text "$2" '$text')"; }

start_chain() {
    make_home
    init_supervisor
    observe &
    OBSERVER_PID=$!
    start_supervisor
}

# Serves a directory on a port the kernel picks; sets SERVED to its address.
serve() {
    python3 -u -m http.server --bind 127.0.0.1 --directory "$1" 0 >"$WORK/server.log" 2>&1 </dev/null &
    SERVER_PID=$!
    listening() { grep -q '^Serving HTTP' "$WORK/server.log"; }
    wait_for 10 listening || give_up "the file server is not up after 10 s, see $WORK/server.log"
    SERVED=http://127.0.0.1:$(sed -n 's/^Serving HTTP on .* port \([0-9]*\) .*/\1/p' "$WORK/server.log")
}

# --- at the height -----------------------------------------------------------------------------

await_plan() {
    wait_for 90 plan_written || give_up "no upgrade-info.json 90 s after the vote; height $(height), see $LOG"
    PLAN_AT=$(stat -c %.9Y "$PLAN_FILE")
    say "upgrade-info.json is there: $(cat "$PLAN_FILE")"
    note upgrade_height "$UPGRADE_HEIGHT"
    note_text plan_file "$(cat "$PLAN_FILE")"
    note_text plan_file_mode "$(stat -c %a "$PLAN_FILE")"
    [[ $(cat "$PLAN_FILE") == "$(expected_plan)" ]] || failed "upgrade-info.json is not $(expected_plan)"
}

# As the chain writes it: Go's JSON of the plan, no newline.
expected_plan() {
    jq -nc --argjson height "$UPGRADE_HEIGHT" --arg info "$PLAN_INFO" \
        '{name: "v2", time: "0001-01-01T00:00:00Z", height: $height, info: $info}'
}

consensus_failed() { grep -aq 'CONSENSUS FAILURE' "$LOG"; }

await_halt() {
    wait_for 30 consensus_failed || give_up "no CONSENSUS FAILURE in $LOG 30 s after upgrade-info.json"
}

# The node by itself at the halt, with nobody to act on it.
note_halt() {
    local stays=true
    node_pid >/dev/null || stays=false
    note halt "$(jq -nc --argjson status "$(height || echo null)" --argjson app "$(app_height || echo null)" \
        --argjson signed "$(signed_height "$NODE_HOME/data")" --argjson stays $stays \
        '{status_height: $status, app_height: $app, signed_height: $signed, node_stays_up: $stays}')"
}

# The old release at the height: it must end by itself, changing nothing but the plan file's times.
start_old_by_hand() {
    local before began code
    before=$(stat -c %.9Y "$PLAN_FILE")
    began=$EPOCHREALTIME
    env CHAIN_RUN_ID="$RUN_ID" timeout -k 5 30 "$WORK/chaind-v1" start --home "$NODE_HOME" --log_no_color \
        >"$WORK/old-by-hand.log" 2>&1 </dev/null
    code=$?
    note old_again "$(jq -nc --argjson code $code --argjson before "$before" --argjson after "$(stat -c %.9Y "$PLAN_FILE")" \
        --argjson took "$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')" \
        '{code: $code, seconds: $took, plan_file_rewritten: ($after > $before)}')"
    ((code != 0 && code != 124)) || failed "the old release, started at the height, ended with $code"
    [[ $(cat "$PLAN_FILE") == "$(expected_plan)" ]] || failed "the old release wrote $(cat "$PLAN_FILE")"
}

# The supervisor has nothing to switch to. It may end (with an error) or stay and wait; it may not switch.
end_without_binary() {
    local before outcome
    before=$(stat -c %.9Y "$PLAN_FILE")
    if await_supervisor "$1"; then
        outcome=$(jq -nc --argjson code "$ENDED_WITH" '{supervisor_ended_with: $code}')
        ((ENDED_WITH != 0)) || failed "the supervisor ended with 0 though it could not upgrade"
    else
        outcome='{"supervisor_ended_with":null}'
    fi
    kill_all
    local rewritten
    rewritten=$(jq -nc --argjson a "$before" --argjson b "$(stat -c %.9Y "$PLAN_FILE")" '$b > $a')
    outcome=$(jq -c --argjson r "$rewritten" --argjson n "$(backups | wc -l)" '. + {plan_file_rewritten: $r, backups: $n}' <<<"$outcome")
    note without_binary "$(jq -c --argjson new "$outcome" '(.without_binary // []) + [$new]' "$FACTS")"
    say "without a binary: $outcome"
    [[ $(readlink "$NODE_HOME/cosmovisor/current") == *genesis ]] ||
        failed "current points to $(readlink "$NODE_HOME/cosmovisor/current") with no binary to run"
}

# --- after the height --------------------------------------------------------------------------

check_upgraded() {
    local goal=$((UPGRADE_HEIGHT + 4))
    await_height $goal 60
    note reached_height "$(height)"
    note_pause
    check_release
    check_backup
    check_blocks
    check_applied
    [[ $(cat "$PLAN_FILE") == "$(expected_plan)" ]] || failed "upgrade-info.json is now $(cat "$PLAN_FILE")"
}

# From the plan file's first appearance to the first block above the height.
note_pause() {
    local seconds
    seconds=$(awk -v h="$UPGRADE_HEIGHT" -v from="$PLAN_AT" '$2 > h { printf "%.2f", $1 - from; exit }' "$OBSERVED")
    note seconds_without_blocks "${seconds:-null}"
}

check_release() {
    local link exe
    link=$(readlink "$NODE_HOME/cosmovisor/current")
    exe=$(node_exe)
    [[ $(realpath "$NODE_HOME/cosmovisor/current") == "$NODE_HOME/cosmovisor/upgrades/v2" ]] || failed "current points to $link"
    [[ $exe == "$NODE_HOME/cosmovisor/upgrades/v2/bin/$DAEMON" ]] || failed "the node runs $exe"
    [[ $(jq -r .name "$NODE_HOME/cosmovisor/upgrades/v2/upgrade-info.json") == v2 ]] ||
        failed "upgrades/v2/upgrade-info.json does not name the plan"
}

# One backup, of the data as it was at the halt.
check_backup() {
    local found backup
    found=$(backups)
    [[ -n $found && $(wc -l <<<"$found") == 1 ]] || { failed "backups: $(tr '\n' ' ' <<<"$found")"; return; }
    backup=$BACKUPS/$found
    [[ $(cat "$backup/upgrade-info.json") == "$(expected_plan)" ]] || failed "the backup's upgrade-info.json is not the plan"
    [[ $(signed_height "$backup") == "$UPGRADE_HEIGHT" ]] ||
        failed "the backup's priv_validator_state.json is at $(signed_height "$backup"), not at the height"
    local store
    for store in application blockstore state tx_index; do
        [[ -n $(ls -A "$backup/$store.db" 2>/dev/null) ]] || failed "the backup has no $store.db"
    done
    check_backup_opens "$backup"
}

# A copy of the backup, given to the old release, must bring it to the halt again and nowhere else.
check_backup_opens() {
    local restored=$WORK/restored
    mkdir "$restored"
    cp -r "$NODE_HOME/config" "$restored/config"
    cp -r "$1" "$restored/data"
    env CHAIN_RUN_ID="$RUN_ID" timeout -k 5 30 "$WORK/chaind-v1" start --home "$restored" --log_no_color \
        >"$WORK/restored.log" 2>&1 </dev/null
    grep -aqF "error on replay: UPGRADE \"v2\" NEEDED at height: $UPGRADE_HEIGHT" "$WORK/restored.log" ||
        failed "the old release does not come to the halt on the backup, see $WORK/restored.log"
}

# Every height has one block, each on top of the last, and it is the one that was seen at the time.
check_blocks() {
    local top chain twice
    top=$(height)
    chain=$WORK/blocks
    for ((h = 1; h <= top; h++)); do
        curl -fsS --max-time 2 "$RPC/block?height=$h"
    done | jq -r '.result | [.block.header.height, .block_id.hash, .block.last_commit.block_id.hash, (.block.evidence.evidence | length)] | join(" ")' >"$chain"
    [[ $(wc -l <"$chain") == "$top" ]] || failed "$(wc -l <"$chain") of $top blocks can be read"
    awk 'NR > 1 && $3 != last { print "block " $1 " is not on top of block " $1 - 1 }
         $4 > 0 { print "block " $1 " carries evidence of a double signature" }
         { last = $2 }' "$chain" | while read -r wrong; do failed "$wrong"; done
    twice=$(awk 'NR == FNR { hash[$1] = $2; next } ($2 in hash) && hash[$2] != $3 { print $2 }' "$chain" "$OBSERVED" | sort -un)
    [[ -z $twice ]] || failed "two blocks seen at heights: $twice"
}

# The upgrade really took place in the chain's state, at its height.
check_applied() {
    local at
    at=$(curl -fsS --max-time 2 "$API/cosmos/upgrade/v1beta1/applied_plan/v2" | jq -r .height)
    [[ $at == "$UPGRADE_HEIGHT" ]] || failed "the chain says plan v2 was applied at '$at'"
    curl -fsS --max-time 2 "$API/cosmos/upgrade/v1beta1/module_versions?module_name=authz" |
        jq -e '.module_versions | length == 1' >/dev/null || failed "the module that v2 adds is not there"
}

check_term() {
    local began=$EPOCHREALTIME
    kill -TERM "$SUPERVISOR_PID"
    if await_supervisor 30; then
        note term "$(jq -nc --argjson code "$ENDED_WITH" \
            --argjson took "$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')" '{code: $code, seconds: $took}')"
        ((ENDED_WITH == 0)) || failed "TERM: the supervisor ended with $ENDED_WITH"
        wait_for 5 nobody_left || failed "TERM: the supervisor left $(members | tr '\n' ' ')running"
    else
        failed "TERM: the supervisor is still there after 30 s"
    fi
}

# The old node logged the signal before the new one applied the plan.
check_stopped_by_term() {
    if awk '/applying upgrade/ { exit } /caught signal.*terminated/ { asked = 1; exit } END { exit !asked }' "$LOG"; then
        note_text node_stopped_by TERM
    else
        note_text node_stopped_by KILL
        failed "the old node was not asked to stop: it was killed"
    fi
}
