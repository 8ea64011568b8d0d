use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::JudgedLife;

use super::{Kills, REMEMBERED, unread};
use crate::pod::PodView;
use crate::testing::{CONTAINER, at, killed_pod, timings};
use crate::verdict::{Confidence, Verdict};

const NOW: i64 = 100_000;

/// The pod of that name, killed under the chart's probes.
fn pod(name: &str) -> PodView {
    PodView {
        name: name.to_owned(),
        uid: name.to_owned(),
        ..killed_pod(timings(30, 10, 10, 2), 57, at(NOW))
    }
}

/// The same without a Killing event, its life ended `ago` seconds before now.
fn inferred(name: &str, ago: i64) -> PodView {
    let mut pod = pod(name);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    view.kills = Some(Vec::new());
    let life = view.last_life.as_mut().unwrap();
    life.finished_at = at(NOW - ago);
    life.started_at = at(NOW - ago - 57);
    pod
}

fn of(pods: &[PodView], judged: &[JudgedLife]) -> Kills {
    Kills::of(CONTAINER, pods, judged, at(NOW))
}

fn life(pod: &str, ended: Timestamp, verdict: Verdict, confidence: Confidence) -> JudgedLife {
    JudgedLife {
        pod_uid: pod.to_owned(),
        finished_at: Time(ended),
        verdict: verdict.to_string(),
        confidence: confidence.to_string(),
        seconds: None,
    }
}

fn earlier(ago: i64) -> JudgedLife {
    life(
        "p",
        at(NOW - ago),
        Verdict::StartupKill,
        Confidence::Inferred,
    )
}

#[test]
fn the_first_proven_kill_counts_and_is_judged_once() {
    let kills = of(&[pod("p")], &[]);
    let killed = kills.killed_now.clone().unwrap();
    assert_eq!(
        (killed.budget_seconds, killed.confidence),
        (40, Confidence::Proven)
    );
    assert_eq!(kills.new.len(), 1);
    assert_eq!(kills.shown, Some(Verdict::StartupKill));

    let again = of(&[pod("p")], &kills.judged);
    assert!(again.new.is_empty());
    assert_eq!(again.judged, kills.judged);
    assert_eq!(
        again.killed_now, kills.killed_now,
        "it is still killed, though nothing is new"
    );
}

#[test]
fn an_inferred_kill_counts_from_the_second_on() {
    let first = of(&[inferred("p", 60)], &[]);
    assert_eq!((first.killed_now, first.judged.len()), (None, 1));
    let second = of(&[inferred("p", 60)], &[earlier(200)]);
    assert_eq!(
        second.killed_now.unwrap().confidence,
        Confidence::InferredTwice
    );
}

#[test]
fn an_unwatched_loop_counts_at_once() {
    let mut pod = inferred("p", 1);
    pod.containers.get_mut(CONTAINER).unwrap().restart_count = 7;
    assert_eq!(
        of(&[pod], &[]).killed_now.unwrap().confidence,
        Confidence::InferredTwice
    );
}

#[test]
fn who_is_not_killed_now() {
    let mut healthy = pod("healthy");
    healthy.containers.get_mut(CONTAINER).unwrap().ready = true;
    let mut deleting = pod("deleting");
    deleting.deleting = true;
    let mut steady = pod("steady");
    let life = steady
        .containers
        .get_mut(CONTAINER)
        .unwrap()
        .last_life
        .as_mut()
        .unwrap();
    life.started_at = at(NOW - 9000);
    let mut other = pod("other");
    let view = other.containers.remove(CONTAINER).unwrap();
    other.containers.insert("sidecar".to_owned(), view);
    let cases = [
        ("healthy again", healthy),
        ("being deleted", deleting),
        ("killed long after its start", steady),
        ("another container was killed", other),
    ];
    for (name, pod) in cases {
        assert_eq!(of(&[pod], &[]).killed_now, None, "{name}");
    }
}

#[test]
fn a_deleted_pod_is_not_judged_and_its_events_are_not_read() {
    let mut deleting = pod("p");
    deleting.deleting = true;
    let pods = [deleting];
    assert_eq!(unread(CONTAINER, &pods, &[]).count(), 0);
    let kills = of(&pods, &[]);
    assert_eq!((kills.judged, kills.shown), (Vec::new(), None));
}

#[test]
fn of_several_killed_pods_the_smallest_budget_speaks() {
    let mut generous = pod("a");
    generous.containers.get_mut(CONTAINER).unwrap().liveness = Some(timings(40, 10, 10, 2));
    let killed = of(&[generous, pod("b")], &[]).killed_now.unwrap();
    assert_eq!((killed.pod.as_str(), killed.budget_seconds), ("b", 40));
}

#[test]
fn loops() {
    let mut backing_off = pod("p");
    let view = backing_off.containers.get_mut(CONTAINER).unwrap();
    view.waiting_reason = Some("CrashLoopBackOff".to_owned());
    let mut pulling = pod("p");
    let view = pulling.containers.get_mut(CONTAINER).unwrap();
    view.waiting_reason = Some("ImagePullBackOff".to_owned());
    let mut healthy = pod("p");
    healthy.containers.get_mut(CONTAINER).unwrap().ready = true;
    let cases = [
        ("CrashLoopBackOff", backing_off, vec![], (true, false)),
        ("another reason to wait", pulling, vec![], (false, false)),
        (
            "two kills in 10 minutes",
            pod("p"),
            vec![earlier(595)],
            (false, true),
        ),
        (
            "two kills further apart",
            pod("p"),
            vec![earlier(601)],
            (false, false),
        ),
        (
            "two kills, but healthy by now",
            healthy,
            vec![earlier(300)],
            (false, false),
        ),
    ];
    for (name, pod, judged, expected) in cases {
        let kills = of(&[pod], &judged);
        assert_eq!((kills.backing_off, kills.repeated), expected, "{name}");
    }
}

#[test]
fn the_newest_verdict_is_shown_for_a_day() {
    let day = 86_400;
    let judged = |ago| {
        life(
            "gone",
            at(NOW - ago),
            Verdict::OutOfMemory,
            Confidence::Proven,
        )
    };
    assert_eq!(of(&[], &[judged(day)]).shown, Some(Verdict::OutOfMemory));
    assert_eq!(of(&[], &[judged(day + 1)]).shown, None);
    let old = inferred("old", 5000);
    assert_eq!(
        of(&[old, pod("new")], &[judged(3000)]).shown,
        Some(Verdict::StartupKill)
    );
    let old = inferred("old", 5000);
    assert_eq!(
        of(&[old], &[judged(3000)]).shown,
        Some(Verdict::OutOfMemory),
        "newest by its end, not by when it was judged"
    );
    let unknown = JudgedLife {
        verdict: "OfALaterVersion".to_owned(),
        ..judged(1)
    };
    assert_eq!(of(&[], &[unknown]).shown, None);
}

/// A pod that ends by itself after so many seconds, long before its probe can kill it.
fn ended_itself(name: &str, length: i64, ago: i64) -> PodView {
    let mut pod = inferred(name, ago);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    let life = view.last_life.as_mut().unwrap();
    life.started_at = at(NOW - ago - length);
    life.exit_code = 1;
    pod
}

#[test]
fn run_after_run_of_one_length_is_a_timeout_of_the_programs_own() {
    let shown = |lengths: [i64; 4], name: fn(usize) -> &'static str| {
        let mut judged = Vec::new();
        for (index, length) in lengths.into_iter().enumerate() {
            let ago = 400 - 100 * i64::try_from(index).unwrap();
            let kills = of(&[ended_itself(name(index), length, ago)], &judged);
            judged = kills.judged;
        }
        let verdicts = judged.into_iter().map(|life| life.verdict);
        verdicts.collect::<Vec<_>>()
    };
    let (error, own) = ("StartupError", "SyncTimeout");
    assert_eq!(shown([20, 21, 20, 20], |_| "p"), [error, error, own, own]);
    assert_eq!(
        shown([9, 20, 20, 21], |_| "p"),
        [error, error, error, own],
        "the first run was another"
    );
    assert_eq!(shown([20, 25, 16, 20], |_| "p"), [error; 4]);
    let another = |index| ["p", "q", "r", "s"][index];
    assert_eq!(
        shown([20; 4], another),
        [error; 4],
        "runs of other pods say nothing of this one's clock"
    );
}

#[test]
fn memory_is_bounded_and_what_it_forgot_stays_judged() {
    let pods: Vec<_> = (0..40)
        .map(|index| inferred(&format!("p{index}"), 100 + index))
        .collect();
    let kills = of(&pods, &[]);
    assert_eq!(kills.judged.len(), REMEMBERED);
    let newest = kills.judged.last().unwrap().finished_at.0;
    assert_eq!(newest, at(NOW - 100));
    let again = of(&pods, &kills.judged);
    assert!(again.new.is_empty(), "{:?}", again.new);
    assert_eq!(again.judged, kills.judged);
}

#[test]
fn whose_events_are_read() {
    let mut memory = pod("oom");
    let life = memory
        .containers
        .get_mut(CONTAINER)
        .unwrap()
        .last_life
        .as_mut()
        .unwrap();
    life.reason = "OOMKilled".to_owned();
    let mut calm = pod("calm");
    calm.containers.get_mut(CONTAINER).unwrap().last_life = None;
    let pods = [pod("judged"), pod("new"), memory, calm];
    let judged = of(&pods[..1], &[]).judged;
    let names: Vec<_> = unread(CONTAINER, &pods, &judged)
        .map(|pod| pod.name.as_str())
        .collect();
    assert_eq!(names, ["new"]);
}

#[test]
fn events_that_were_not_read_are_asked_for() {
    let mut unread = pod("p");
    unread.containers.get_mut(CONTAINER).unwrap().kills = None;
    let kills = of(&[unread, inferred("q", 2)], &[]);
    assert_eq!(
        kills.look_again,
        Some(SignedDuration::ZERO),
        "the soonest of all"
    );
    assert!(kills.judged.is_empty());
}

#[test]
fn many_pods_that_ended_in_the_same_second_are_judged_once_too() {
    let pods: Vec<_> = (0..40)
        .map(|index| inferred(&format!("p{index}"), 100))
        .collect();
    let kills = of(&pods, &[]);
    let again = of(&pods, &kills.judged);
    assert!(again.new.is_empty(), "{:?}", again.new);
    assert_eq!(again.judged, kills.judged);
}
