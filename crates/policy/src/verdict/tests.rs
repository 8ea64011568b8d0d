use jiff::{SignedDuration, Timestamp};
use probepilot_kubelet::Timings;

use super::{Confidence, Finding, Verdict, judge};
use crate::pod::{ContainerView, FailedProbe, KillingEvent, Life, PodView, SeenStart};
use crate::starts::MeasuredBy;
use crate::testing::{at, timings};

/// When every life of these tests begins.
const BORN: i64 = 10_000;

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// A container under the chart's 30/10/10/2 that lived so long and was restarted once: its guaranteed
/// budget is 40 s, its latest kill 60 s, with 10 s of grace and 2 s of slack 72 s.
fn lived(length: i64) -> ContainerView {
    ContainerView {
        liveness: Some(timings(30, 10, 10, 2)),
        has_readiness: true,
        restart_count: 1,
        last_life: Some(Life {
            started_at: at(BORN),
            finished_at: at(BORN + length),
            exit_code: 1,
            reason: "Error".to_owned(),
            ..Life::default()
        }),
        kills: Some(Vec::new()),
        ..ContainerView::default()
    }
}

fn startup_probe(view: ContainerView, startup: Timings) -> ContainerView {
    ContainerView {
        startup: Some(startup),
        ..view
    }
}

fn event(view: ContainerView, probe: FailedProbe, last_at: i64) -> ContainerView {
    ContainerView {
        kills: Some(vec![KillingEvent {
            probe,
            first_at: at(last_at - 600),
            last_at: at(last_at),
            count: 3,
        }]),
        ..view
    }
}

fn find(view: &ContainerView, now: Timestamp) -> Finding {
    let pod = PodView {
        name: "p".to_owned(),
        uid: "u".to_owned(),
        deleting: false,
        grace_seconds: 10,
        containers: [("c".to_owned(), view.clone())].into(),
        ..PodView::default()
    };
    judge(&pod, view, now)
}

/// The verdict long after the life ended.
fn verdict(view: &ContainerView) -> (Verdict, Confidence) {
    match find(view, at(BORN + 100_000)) {
        Finding::Judged(judgement) => (judgement.verdict(), judgement.confidence()),
        other => panic!("{other:?}"),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn verdicts() {
    use Confidence::{Inferred, InferredTwice, Proven};
    use FailedProbe::{Liveness, Startup};
    use Verdict::{OutOfMemory, StartupError, StartupKill, SteadyStateKill, Unknown};
    let healthy = |view: ContainerView| ContainerView {
        running_since: Some(at(BORN + 1000)),
        started: Some(true),
        ready: true,
        ..view
    };
    let often = |view: ContainerView| ContainerView {
        restart_count: 3,
        ..view
    };
    let exit = |exit_code, mut view: ContainerView| {
        view.last_life.as_mut().unwrap().exit_code = exit_code;
        view
    };
    let out_of_memory = |mut view: ContainerView| {
        view.last_life.as_mut().unwrap().reason = "OOMKilled".to_owned();
        view
    };
    let guarded = |length| startup_probe(lived(length), timings(0, 10, 10, 12));
    let began = |second, view: ContainerView| ContainerView {
        seen: vec![SeenStart {
            started_at: at(BORN),
            healthy_at: Some((at(BORN + second), MeasuredBy::Started)),
        }],
        ..view
    };
    let readied = |view: ContainerView| ContainerView {
        seen_ready: vec![at(BORN)],
        ..view
    };
    let grace = |seconds, view: ContainerView| ContainerView {
        probe_grace_seconds: Some(seconds),
        ..view
    };
    let cases = vec![
        (
            "an event names liveness, in the window",
            event(lived(57), Liveness, BORN + 50),
            StartupKill,
            Proven,
        ),
        (
            "liveness killed it long after a start can last",
            event(lived(5000), Liveness, BORN + 4990),
            SteadyStateKill,
            Proven,
        ),
        (
            "an event names the startup probe",
            event(guarded(125), Startup, BORN + 120),
            StartupKill,
            Proven,
        ),
        (
            "a startup probe is only ever a start",
            event(guarded(5), Startup, BORN + 2),
            StartupKill,
            Proven,
        ),
        (
            "with a startup probe a liveness kill is after the start, when it has answered meanwhile",
            event(guarded(165), Liveness, BORN + 162),
            SteadyStateKill,
            Proven,
        ),
        (
            "by then it may never have: a restarted kubelet takes a start for done (K20)",
            event(guarded(165), Liveness, BORN + 161),
            Unknown,
            Confidence::None,
        ),
        (
            "it was seen to start so early that it has answered",
            event(began(30, guarded(65)), Liveness, BORN + 62),
            SteadyStateKill,
            Proven,
        ),
        (
            "it was seen to be started, but liveness may never have been answered",
            event(began(30, guarded(65)), Liveness, BORN + 61),
            Unknown,
            Confidence::None,
        ),
        (
            "it was seen ready in that life",
            event(readied(began(30, guarded(65))), Liveness, BORN + 45),
            SteadyStateKill,
            Proven,
        ),
        (
            "the event is in the second after the end",
            event(lived(57), Liveness, BORN + 58),
            StartupKill,
            Proven,
        ),
        (
            "the event is two seconds after the end",
            event(lived(57), Liveness, BORN + 59),
            StartupKill,
            Inferred,
        ),
        (
            "the event is as old as the life",
            event(lived(57), Liveness, BORN),
            StartupKill,
            Proven,
        ),
        (
            "the event is of an earlier life",
            event(lived(57), Liveness, BORN - 1),
            StartupKill,
            Inferred,
        ),
        ("no event, in the window", lived(57), StartupKill, Inferred),
        (
            "the earliest end, with a second for rounding",
            lived(39),
            StartupKill,
            Inferred,
        ),
        (
            "ended by itself with an error before a kill is possible",
            lived(38),
            StartupError,
            Inferred,
        ),
        (
            "the latest end of a program that stops by itself: decision and grace",
            lived(71),
            StartupKill,
            Inferred,
        ),
        ("ended a second later", lived(72), Unknown, Confidence::None),
        (
            "the latest end by force: decision, grace and slack",
            exit(137, lived(72)),
            StartupKill,
            Inferred,
        ),
        (
            "ended after that",
            exit(137, lived(73)),
            Unknown,
            Confidence::None,
        ),
        (
            "the probe's own grace widens the window",
            grace(60, lived(119)),
            StartupKill,
            Inferred,
        ),
        (
            "and narrows it, to 2 s at least",
            grace(0, lived(65)),
            Unknown,
            Confidence::None,
        ),
        (
            "no probe guards the start",
            ContainerView {
                liveness: None,
                ..lived(57)
            },
            Unknown,
            Confidence::None,
        ),
        (
            "it is healthy by now",
            healthy(lived(57)),
            Unknown,
            Confidence::None,
        ),
        (
            "an event speaks though it is healthy by now",
            healthy(event(lived(57), Liveness, BORN + 50)),
            StartupKill,
            Proven,
        ),
        (
            "killed for memory",
            out_of_memory(lived(57)),
            OutOfMemory,
            Proven,
        ),
        (
            "memory overrides an event",
            out_of_memory(event(lived(57), Liveness, BORN + 50)),
            OutOfMemory,
            Proven,
        ),
        (
            "unwatched and looping, no event is left",
            often(lived(57)),
            StartupKill,
            InferredTwice,
        ),
        (
            "unwatched and looping, an earlier event",
            often(event(lived(57), Liveness, BORN - 3000)),
            StartupKill,
            Proven,
        ),
        (
            "unwatched and looping, but not in the window",
            often(lived(5)),
            StartupError,
            Inferred,
        ),
    ];
    for (name, view, expected, confidence) in cases {
        assert_eq!(verdict(&view), (expected, confidence), "{name}");
    }
}

/// Real probe kills exit 0, 1, 137 and 143 (catalogue, section 4).
#[test]
fn exit_codes_do_not_tell_a_kill_from_another_end() {
    let with_code = |exit_code, mut view: ContainerView| {
        view.last_life.as_mut().unwrap().exit_code = exit_code;
        verdict(&view)
    };
    for view in [
        lived(57),
        lived(500),
        event(lived(57), FailedProbe::Liveness, BORN + 50),
        event(lived(5000), FailedProbe::Liveness, BORN + 4990),
    ] {
        let verdicts = [0, 1, 137, 143].map(|code| with_code(code, view.clone()));
        assert_eq!(verdicts, [verdicts[0]; 4]);
    }
}

#[test]
fn events_may_arrive_late() {
    let now = |after: i64| at(BORN + 57 + after);
    let unread = ContainerView {
        kills: None,
        ..lived(57)
    };
    assert_eq!(
        find(&unread, now(100)),
        Finding::NotYet(seconds(0)),
        "not read: read them first"
    );
    let cases = [
        ("at once", 0, Some(1)),
        ("after a second", 1, Some(1)),
        ("after three", 3, Some(3)),
        ("before ten", 9, Some(3)),
        ("after ten", 10, None),
    ];
    for (name, after, again) in cases {
        let found = find(&lived(57), now(after));
        match again {
            Some(again) => assert_eq!(found, Finding::NotYet(seconds(again)), "{name}"),
            None => assert!(matches!(found, Finding::Judged(_)), "{name}: {found:?}"),
        }
    }
    let arrived = event(lived(57), FailedProbe::Liveness, BORN + 50);
    assert!(
        matches!(find(&arrived, now(0)), Finding::Judged(_)),
        "an event decides at once"
    );
    let early = find(&lived(5), at(BORN + 5));
    assert!(
        matches!(early, Finding::Judged(_)),
        "outside the window there is nothing to wait for: {early:?}"
    );
}

#[test]
fn a_container_that_never_ended() {
    let view = ContainerView {
        last_life: None,
        ..lived(57)
    };
    assert_eq!(find(&view, at(BORN)), Finding::None);
}

#[test]
fn times_at_the_ends_of_time_do_not_panic() {
    for (started_at, finished_at) in [
        (Timestamp::MIN, Timestamp::MAX),
        (Timestamp::MAX, Timestamp::MIN),
        (Timestamp::MAX, Timestamp::MAX),
    ] {
        let mut view = event(lived(57), FailedProbe::Liveness, BORN);
        view.liveness = Some(timings(u32::MAX, u32::MAX, u32::MAX, u32::MAX));
        view.probe_grace_seconds = Some(u32::MAX);
        let life = view.last_life.as_mut().unwrap();
        (life.started_at, life.finished_at) = (started_at, finished_at);
        for now in [Timestamp::MIN, at(0), Timestamp::MAX] {
            assert_ne!(find(&view, now), Finding::None);
        }
    }
}
