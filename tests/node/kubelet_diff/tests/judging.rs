//! The comparison itself: what it lets pass, and that it can fail.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use probepilot_kubelet::{Answer, Container, Life, OnSigterm, Probe, ProbeKind, Timings};
use probepilot_test_kubelet_diff::Config;
use probepilot_test_kubelet_diff::judge::judge;
use probepilot_test_kubelet_diff::observe::{Seen, SeenKill, SeenLife};
use probepilot_test_kubelet_diff::predict::predict;

const START: i64 = 1_800_000_000;

/// Liveness 5/4/1/2, so the first kill comes 9 to 13 s after `startedAt`.
fn config(life: Life) -> Config {
    let liveness = Timings {
        initial_delay_seconds: 5,
        period_seconds: 4,
        timeout_seconds: 1,
        failure_threshold: 2,
    };
    Config {
        name: "judged".to_owned(),
        container: Container {
            liveness: Some(Probe::from(liveness)),
            termination_grace_period_seconds: 5,
            ..Container::default()
        },
        life,
        lives: 2,
        observe_seconds: 60,
        longest_life_seconds: 30,
        every_run: true,
    }
}

fn never_well() -> Config {
    config(Life::starting(None, Answer::Refused).on_sigterm(OnSigterm::Ignored))
}

fn well() -> Config {
    config(Life::default())
}

/// One life that was killed and ended, so many seconds after its start, and one that goes on.
fn killed(kill: i64, finished: i64, started_again: i64) -> Seen {
    Seen {
        lives: vec![
            SeenLife {
                started: START,
                finished: Some(START + finished),
                code: Some(137),
            },
            SeenLife {
                started: START + started_again,
                ..SeenLife::default()
            },
        ],
        kills: vec![SeenKill {
            at: START + kill,
            probe: ProbeKind::Liveness,
        }],
        restarts: 1,
        kills_counted: 1,
    }
}

fn going_on() -> Seen {
    Seen {
        lives: vec![SeenLife {
            started: START,
            ..SeenLife::default()
        }],
        ..Seen::default()
    }
}

fn with(mut seen: Seen, change: impl FnOnce(&mut Seen)) -> Seen {
    change(&mut seen);
    seen
}

#[test]
fn what_fits_and_what_does_not() {
    let table: [(&str, Config, Seen, i64, usize); 16] = [
        ("as early as can be", never_well(), killed(9, 14, 14), 15, 0),
        ("as late as can be", never_well(), killed(12, 17, 19), 20, 0),
        ("within the slack", never_well(), killed(13, 18, 21), 22, 0),
        ("a second too early", never_well(), killed(8, 14, 14), 15, 1),
        ("beyond the slack", never_well(), killed(14, 18, 18), 19, 1),
        ("grace too short", never_well(), killed(9, 13, 13), 14, 1),
        (
            "a wait nobody predicted",
            never_well(),
            killed(9, 14, 23),
            24,
            1,
        ),
        ("who was to survive goes on", well(), going_on(), 50, 0),
        (
            "who was to survive is killed",
            well(),
            killed(9, 14, 14),
            15,
            1,
        ),
        (
            "who was to be killed goes on",
            never_well(),
            going_on(),
            40,
            1,
        ),
        (
            "who was to be killed may still run",
            never_well(),
            going_on(),
            12,
            0,
        ),
        ("nothing was seen", well(), Seen::default(), 9, 1),
        (
            "another exit code",
            never_well(),
            with(killed(9, 14, 14), |seen| seen.lives[0].code = Some(1)),
            15,
            1,
        ),
        (
            "another probe",
            never_well(),
            with(killed(9, 14, 14), |seen| {
                seen.kills[0].probe = ProbeKind::Startup;
            }),
            15,
            1,
        ),
        (
            "a life was missed",
            never_well(),
            with(killed(9, 14, 14), |seen| seen.restarts = 2),
            15,
            1,
        ),
        (
            "an event was missed",
            never_well(),
            with(killed(9, 14, 14), |seen| seen.kills_counted = 2),
            15,
            1,
        ),
    ];
    for (name, config, seen, now, mismatches) in table {
        let judged = judge(&config, &predict(&config), &seen, START + now);
        let found: Vec<String> = judged.all_mismatches().collect();
        assert_eq!(found.len(), mismatches, "{name}: {found:#?}");
    }
}

#[test]
fn a_kill_in_the_second_of_the_next_start_is_of_the_life_before() {
    let mut seen = killed(9, 14, 14);
    seen.kills[0].at = START + 14;
    seen.lives[0].finished = Some(START + 14);
    let config = config(Life::starting(None, Answer::Refused));
    let judged = judge(&config, &predict(&config), &seen, START + 15);
    assert_eq!(judged.rows[0].killed, Some(14));
    assert_eq!(judged.rows[1].killed, None);
}

#[test]
fn the_slack_is_counted() {
    let config = never_well();
    let judged = judge(&config, &predict(&config), &killed(13, 18, 20), START + 21);
    assert_eq!(judged.rows[0].late, 2, "killed and finished, not the wait");
}

#[test]
fn a_kill_of_what_has_just_ended_by_itself_is_of_that_life() {
    let mut seen = killed(10, 9, 19);
    seen.lives[0].code = Some(3);
    let dying = config(Life::starting(None, Answer::Refused).exiting(9_500, 3));
    let judged = judge(&dying, &predict(&dying), &seen, START + 20);
    assert_eq!(judged.rows[0].killed, Some(10));
    assert_eq!(judged.rows[1].killed, None);
}
