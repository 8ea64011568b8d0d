use probepilot_kubelet::Timings;

use super::SeenStart;
use crate::pod::{ContainerView, Life, PodView, ReadyTurned};
use crate::starts::MeasuredBy;
use crate::testing::{at, timings};

const NAME: &str = "web";

/// What a watch tells of one pod, one view after another.
#[derive(Default)]
struct Watch {
    last: Option<PodView>,
}

impl Watch {
    fn tell(
        &mut self,
        second: i64,
        gapless: bool,
        view: &ContainerView,
        turned: Option<(bool, i64)>,
    ) {
        let mut pod = PodView {
            containers: [(NAME.to_owned(), view.clone())].into(),
            ready_turned: turned.map(|(ready, second)| ReadyTurned {
                ready,
                at: at(second),
            }),
            ..PodView::default()
        };
        pod.witness(self.last.as_ref(), at(second), gapless);
        self.last = Some(pod);
    }

    fn seen(&self) -> Vec<SeenStart> {
        self.last.as_ref().unwrap().containers[NAME].seen.clone()
    }
}

fn liveness() -> Timings {
    timings(30, 10, 10, 2)
}

/// Guarded by a startup probe.
fn guarded(since: i64, started: bool) -> ContainerView {
    ContainerView {
        startup: Some(liveness()),
        liveness: Some(liveness()),
        started: Some(started),
        running_since: Some(at(since)),
        ..ContainerView::default()
    }
}

/// With a readiness probe and no startup probe.
fn readied(since: i64, ready: bool) -> ContainerView {
    ContainerView {
        liveness: Some(liveness()),
        has_readiness: true,
        started: Some(true),
        ready,
        running_since: Some(at(since)),
        ..ContainerView::default()
    }
}

fn healthy(since: i64, second: i64, by: MeasuredBy) -> SeenStart {
    SeenStart {
        started_at: at(since),
        healthy_at: Some((at(second), by)),
    }
}

fn starting(since: i64) -> SeenStart {
    SeenStart {
        started_at: at(since),
        healthy_at: None,
    }
}

#[test]
fn started_turns_true_when_the_view_arrives_that_says_so() {
    let mut watch = Watch::default();
    watch.tell(1, true, &guarded(0, false), None);
    assert_eq!(watch.seen(), [starting(0)]);
    watch.tell(40, true, &guarded(0, true), None);
    watch.tell(90, true, &guarded(0, true), None);
    assert_eq!(watch.seen(), [healthy(0, 40, MeasuredBy::Started)]);
}

#[test]
fn a_start_that_nobody_saw_is_not_guessed() {
    let mut watch = Watch::default();
    watch.tell(500, true, &guarded(0, true), None);
    assert_eq!(watch.seen(), [], "it was healthy when it was first seen");
    let mut watch = Watch::default();
    watch.tell(1, true, &guarded(0, false), None);
    watch.tell(500, false, &guarded(0, true), None);
    assert_eq!(watch.seen(), [], "it became healthy while nobody watched");
    watch.tell(600, true, &guarded(0, true), None);
    assert_eq!(watch.seen(), []);
}

#[test]
fn a_gap_before_it_is_healthy_does_no_harm() {
    let mut watch = Watch::default();
    watch.tell(1, true, &guarded(0, false), None);
    watch.tell(20, false, &guarded(0, false), None);
    watch.tell(40, true, &guarded(0, true), None);
    assert_eq!(watch.seen(), [healthy(0, 40, MeasuredBy::Started)]);
}

#[test]
fn with_a_readiness_probe_alone_the_condition_has_the_time() {
    let mut watch = Watch::default();
    watch.tell(3, true, &readied(0, false), Some((false, 0)));
    watch.tell(45, true, &readied(0, true), Some((true, 44)));
    assert_eq!(watch.seen(), [healthy(0, 44, MeasuredBy::ContainersReady)]);
    watch.tell(900, true, &readied(0, false), Some((false, 899)));
    watch.tell(950, true, &readied(0, true), Some((true, 949)));
    assert_eq!(
        watch.seen(),
        [healthy(0, 44, MeasuredBy::ContainersReady)],
        "readiness that comes and goes is no start"
    );
}

#[test]
fn a_pod_that_is_not_ready_any_more_was_not_seen_to_start() {
    let mut watch = Watch::default();
    watch.tell(900, true, &readied(0, false), Some((false, 899)));
    watch.tell(950, true, &readied(0, true), Some((true, 949)));
    assert_eq!(watch.seen(), []);
}

#[test]
fn without_startup_and_readiness_probe_nothing_is_seen() {
    let mut watch = Watch::default();
    let view = ContainerView {
        has_readiness: false,
        ..readied(0, false)
    };
    watch.tell(1, true, &view, Some((false, 0)));
    watch.tell(
        9,
        true,
        &ContainerView {
            ready: true,
            ..view
        },
        Some((true, 8)),
    );
    assert_eq!(watch.seen(), []);
}

#[test]
fn a_restart_keeps_the_life_before_and_forgets_what_came_before_that() {
    let mut watch = Watch::default();
    watch.tell(1, true, &guarded(0, false), None);
    watch.tell(61, true, &ended(0, 60, guarded(61, false)), None);
    assert_eq!(watch.seen(), [starting(0), starting(61)]);
    watch.tell(122, true, &ended(61, 121, guarded(122, false)), None);
    assert_eq!(watch.seen(), [starting(61), starting(122)]);
    let waiting = ContainerView {
        running_since: None,
        ..ended(122, 182, guarded(0, false))
    };
    watch.tell(183, true, &waiting, None);
    assert_eq!(watch.seen(), [starting(122)]);
}

fn ended(started: i64, finished: i64, view: ContainerView) -> ContainerView {
    ContainerView {
        last_life: Some(Life {
            started_at: at(started),
            finished_at: at(finished),
            ..Life::default()
        }),
        ..view
    }
}

fn was_ready(pod: &PodView) -> bool {
    let view = &pod.containers[NAME];
    pod.was_ready(view, view.last_life.as_ref().unwrap())
}

/// A fast restart is published at once with the next readiness, so the condition never shows the False between.
#[test]
fn a_life_that_was_seen_ready_was_ready_whatever_the_condition_says_now() {
    let mut watch = Watch::default();
    watch.tell(2, true, &readied(0, true), Some((true, 1)));
    let next = ended(0, 15, readied(16, true));
    watch.tell(17, true, &next, Some((true, 16)));
    assert!(was_ready(watch.last.as_ref().unwrap()));
    // The life after the next one was never seen ready.
    watch.tell(
        33,
        true,
        &ended(20, 31, readied(32, true)),
        Some((true, 32)),
    );
    assert!(!was_ready(watch.last.as_ref().unwrap()));
}

#[test]
fn a_turn_to_ready_within_the_last_life_is_left_from_it() {
    let told_at = |turn| {
        let mut watch = Watch::default();
        let next = ended(0, 15, readied(16, true));
        watch.tell(17, true, &next, Some((true, turn)));
        was_ready(watch.last.as_ref().unwrap())
    };
    assert!(told_at(0) && told_at(14));
    assert!(!told_at(15), "the next life may have been ready by then");
    assert!(!told_at(16) && !told_at(-1));
}
