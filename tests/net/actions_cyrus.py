#!/usr/bin/env python3
"""The tests of actions.py against a real Cyrus: those where servers differ. Cyrus answers moves and copies in another order, keeps what is
deleted under other names, and offers more than Dovecot does."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import actions  # noqa: E402
import cyrus  # noqa: E402
import tap  # noqa: E402

CASES = ("test_archive_and_undo_before_and_after", "test_cut_move_by_copy", "test_cut_append_of_the_same_draft", "test_cut_mailbox_changes",
         "test_programs_killed_in_the_middle", "test_undo_and_redo_online", "test_undo_and_redo_online_without_move",
         "test_undo_where_the_server_says_no_uids", "test_undo_leaves_what_others_changed", "test_spam_and_no_spam_tell_the_server",
         "test_subscriptions", "test_conflicts_are_told_and_the_screen_returns_to_the_truth",
         "test_deleting_a_mailbox_with_mail_in_it_can_be_undone", "test_a_mailbox_made_offline_and_renamed_meanwhile",
         "test_nothing_is_ever_removed_mailbox_wide", "test_a_message_is_opened_while_it_moves",
         "test_a_message_is_opened_behind_a_move_that_names_no_place", "test_a_copy_has_the_file_of_the_original")


class Server(cyrus.Server):
    """All that Cyrus has, where actions.py wants a server that has much."""

    def __init__(self, directory, relay, imap_capability, extra):
        super().__init__(directory, relay=relay, imap_capability="" if imap_capability == actions.RICH else imap_capability)


actions.Server.program = Server

if __name__ == "__main__":
    try:
        tap.run({name: getattr(actions, name) for name in (sys.argv[1:] or CASES)})
    finally:
        actions.Server.end()
