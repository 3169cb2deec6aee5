//! A room works: everything here runs with the SFU embedded and with two processes.

use patchbay_e2e::Mode;

mod data;
mod hostile;
mod join;
mod leave;
mod path;
mod restart;
mod speakers;
mod talk;
mod tcp;
mod wire;

macro_rules! in_both_modes {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        mod embedded {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() -> patchbay_e2e::Outcome {
                    $module::$name(Mode::Embedded).await
                }
            )+
        }
        mod two_processes {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() -> patchbay_e2e::Outcome {
                    $module::$name(Mode::TwoProcesses).await
                }
            )+
        }
    };
}

in_both_modes! {
    join::two_peers_see_and_hear_each_other,
    join::a_late_joiner_sees_a_frame_at_once,
    speakers::twenty_peers_hear_the_loudest_and_switch_faces_in_one_offer,
    speakers::a_whip_publisher_without_levels_is_heard,
    leave::a_publisher_that_dies_silently_is_gone_within_20_s,
    leave::a_rejoin_replaces_the_old_participant,
    leave::leaving_is_immediate,
    data::what_is_sent_under_a_label_reaches_whoever_opened_it,
    path::ice_restart_keeps_tracks_and_slots,
    path::video_goes_on_through_loss,
    talk::chat_is_there_after_a_kill,
    talk::topics_work_without_a_media_path,
    tcp::a_call_without_udp,
    hostile::garbage_from_strangers_does_nothing,
    hostile::a_client_hello_from_elsewhere_does_not_disturb_a_handshake,
    hostile::replayed_packets_are_not_forwarded,
    wire::bad_messages_get_their_own_error_and_the_session_goes_on,
    wire::bad_sdp_is_refused_and_the_call_goes_on,
}

/// With signaling in a process of its own, which alone is killed.
mod without_signaling {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn signaling_is_killed_and_media_does_not_notice() -> patchbay_e2e::Outcome {
        restart::signaling_is_killed_and_media_does_not_notice().await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_newcomer_after_a_restart_meets_those_who_were_there() -> patchbay_e2e::Outcome {
        restart::a_newcomer_after_a_restart_meets_those_who_were_there().await
    }
}
