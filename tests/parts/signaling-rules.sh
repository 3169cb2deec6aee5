#!/usr/bin/env bash
# The matrices of signaling against a real server: bad tokens, origins and messages, every row of the permission table, every bound
# installs: tools
# figures: signaling_rules_tests
source tests/lib/report.sh
source tests/lib/cargo.sh
build
server=(run_tests --test server)
# What must be among them: a filter that fits nothing would pass.
required=(
    access::every_bad_token_is_refused_at_every_entrance_with_its_code
    access::a_foreign_origin_gets_in_nowhere
    access::a_bad_message_is_told_and_the_session_goes_on
    access::what_is_revoked_goes_at_once_and_does_not_come_back
    access::keys_change_while_the_server_runs
    connection::garbage_and_mutations_hurt_nobody
    connection::malformed_messages_get_their_codes_and_the_session_goes_on
    connection::origins_and_subprotocols_are_checked_before_the_upgrade
    permission::each_request_needs_its_grant_and_no_other
    permission::nothing_is_done_before_a_join
    limit::connections_of_one_address_have_an_end
    limit::behind_a_proxy_each_client_has_its_own_count
    limit::rooms_and_what_is_in_them_have_bounds
    session::every_kind_of_connection_goes_on_where_every_other_broke
    session::one_that_reads_nothing_holds_up_nobody
)
all_there() {
    local list name missing=0
    list=$("${server[@]}" -- --list)
    for name in "${required[@]}"; do
        if ! grep -qx "$name: test" <<< "$list"; then
            printf 'no test is named %s\n' "$name"
            missing=1
        fi
    done
    return "$missing"
}
run_them() {
    local log status=0
    log=$(mktemp)
    "${server[@]}" -- access:: connection:: permission:: limit:: session:: moderation:: chat:: rebuild:: 2>&1 | tee "$log" || status=$?
    figure signaling_rules_tests "$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$log")" tests
    rm -f "$log"
    return "$status"
}
step 'the tests that are meant' all_there
step 'the table of permissions has no row untested' run_tests --lib permission
step 'matrices' run_them
