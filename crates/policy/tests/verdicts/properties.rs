//! What holds for every life.

use jiff::Timestamp;
use probepilot_api::JudgedLife;
use probepilot_policy::{Confidence, Kills, LifeWindow, PodView, Verdict};
use proptest::prelude::*;

use crate::builder::{NAME, Scene, lived};

/// Any life under any sane probes, with or without a startup probe.
fn any_life() -> impl Strategy<Value = Scene> {
    let timings = || [0_u32..120, 1_u32..30, 1_u32..30, 1_u32..10];
    let code = prop_oneof![Just(0), Just(1), Just(2), Just(137), Just(143), Just(255)];
    let words = prop_oneof![
        3 => Just(""),
        1 => Just("problem wait for podInfo repo sync: timed out waiting for the condition"),
        1 => Just("leader election lost"),
        1 => Just("failed to sync caches"),
        1 => Just("flag provided but not defined: -v"),
        1 => Just("HTTP server listening on :9090"),
    ];
    (
        (timings(), prop::option::weighted(0.3, timings())),
        (0_i64..400, code, words),
        (1_i32..12, prop::bool::ANY, prop::bool::ANY),
        prop::collection::vec(1_i64..400, 0..4),
    )
        .prop_map(
            |((liveness, startup), (length, code, words), (restarts, running, ready), earlier)| {
                let reason = if code == 0 { "Completed" } else { "Error" };
                let mut scene = lived(length, code, reason)
                    .liveness(liveness)
                    .said(words)
                    .restarts(restarts)
                    .earlier_runs(&earlier);
                if let Some(startup) = startup {
                    scene = scene.startup(startup);
                }
                if running {
                    scene.running(ready, ready)
                } else {
                    scene
                }
            },
        )
}

fn probe() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("liveness"), Just("startup")]
}

/// Judges pods as the operator does, long after their ends.
fn kills(pods: &[PodView], remembered: &[JudgedLife]) -> Kills {
    let now = Timestamp::from_second(1_800_000_600).unwrap();
    Kills::of(NAME, pods, remembered, now)
}

fn named(pod: &PodView, name: &str) -> PodView {
    PodView {
        name: name.to_owned(),
        uid: name.to_owned(),
        ..pod.clone()
    }
}

proptest! {
    /// No event and no fitting length: nothing raises.
    #[test]
    fn no_evidence_no_raise(scene in any_life()) {
        let pod = scene.view();
        let view = &pod.containers[NAME];
        let life = view.last_life.as_ref().unwrap();
        let fits = LifeWindow::of(&pod, view).is_some_and(|window| window.contains(life));
        let (verdict, confidence) = scene.verdict();
        if !fits || view.healthy_by(&pod, Timestamp::from_second(1_800_000_100).unwrap()) {
            prop_assert_ne!(verdict, Verdict::StartupKill);
            prop_assert_eq!(kills(std::slice::from_ref(&pod), &[]).killed_now, None);
        }
        prop_assert!(confidence != Confidence::Proven || verdict != Verdict::StartupKill);
    }

    #[test]
    fn a_reason_of_memory_is_never_a_startup_kill(scene in any_life(), probe in probe(), before in -3_i64..500) {
        let mut pod = scene.killed_by(probe, before).view();
        let view = pod.containers.get_mut(NAME).unwrap();
        view.last_life.as_mut().unwrap().reason = "OOMKilled".to_owned();
        let kills = kills(&[pod], &[]);
        prop_assert_eq!(kills.new[0].1.verdict(), Verdict::OutOfMemory);
        prop_assert_eq!(kills.killed_now, None);
    }

    /// An event outside the life proves nothing about it; only the history of a loop can (design, section 8).
    #[test]
    fn an_event_of_another_life_proves_nothing(scene in any_life(), probe in probe(), after in 2_i64..500, before in 1_i64..500) {
        let restarts = scene.view().containers[NAME].restart_count;
        let length = scene.view().containers[NAME].last_life.as_ref().unwrap().length().as_secs();
        let late = scene.clone().killed_by(probe, -after);
        let early = scene.killed_by(probe, length + before);
        let about_kills = |scene: &Scene| {
            let (diagnosis, _) = scene.diagnose();
            diagnosis.why.kill().map(|_| diagnosis.confidence)
        };
        prop_assert_ne!(about_kills(&late), Some(Confidence::Proven));
        if restarts < 3 {
            prop_assert_ne!(about_kills(&early), Some(Confidence::Proven));
        }
    }

    /// However many replicas, events or looks tell of lives, each life is judged once.
    #[test]
    fn nothing_is_told_twice(scene in any_life(), probe in probe(), repeats in 1_usize..4, replicas in 1_usize..5) {
        let scene = (0..repeats).fold(scene, |scene, _| scene.killed_by(probe, 1));
        let pod = scene.view();
        let pods: Vec<_> = (0..replicas).map(|index| named(&pod, &format!("p{index}"))).collect();
        let first = kills(&pods, &[]);
        prop_assert_eq!(first.new.len(), replicas);
        let again = kills(&pods, &first.judged);
        prop_assert_eq!(again.new.len(), 0);
        prop_assert_eq!(&again.judged, &first.judged);
        prop_assert_eq!(&again.killed_now, &first.killed_now);
        let budgets: Vec<_> = first.killed_now.iter().map(|killed| killed.budget_seconds).collect();
        let one = kills(&pods[..1], &[]);
        prop_assert_eq!(budgets, one.killed_now.iter().map(|killed| killed.budget_seconds).collect::<Vec<_>>());
    }

    /// The same facts give the same verdict, whatever order the events came in.
    #[test]
    fn the_order_of_events_does_not_matter(scene in any_life(), probe in probe(), first in 0_i64..300, second in 0_i64..300) {
        let one = scene.clone().killed_by(probe, first).killed_by(probe, second);
        let other = scene.killed_by(probe, second).killed_by(probe, first);
        prop_assert_eq!(one.verdict(), other.verdict());
    }

    /// Whatever a program says, each sentence stays on its line and is bounded.
    #[test]
    fn sentences_are_harmless(scene in any_life(), words in any::<String>(), output in any::<String>()) {
        let (_, evidence) = scene.said(&words).unhealthy("Liveness", &output).killed_by("liveness", 1).diagnose();
        prop_assert!(!evidence.is_empty());
        for sentence in evidence {
            prop_assert!(!sentence.chars().any(char::is_control), "{:?}", sentence);
            prop_assert!(sentence.chars().count() < 700, "{:?}", sentence);
        }
    }
}
