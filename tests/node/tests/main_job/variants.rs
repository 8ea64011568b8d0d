//! The same controller under different policies, owners and histories.

use std::time::Duration;

use podcache::NAME as CONTROLLER;
use probepilot_test_node::controller::{Controller, Owner};
use probepilot_test_node::policy::StoryPolicy;
use probepilot_test_node::story::Story;
use serde_json::Value;

use crate::seen::{CHART, RUNG, covered, line, need_and_budget, probes, reason, startup};

/// Of all variants.
pub const NAMESPACES: [&str; 7] = [
    "admitted",
    "grown",
    "killed",
    "looping",
    "server-side",
    "flux",
    "no-rules",
];

/// How the real controller ends when it is killed while it lists: message, error and exit code.
const LAST_WORDS: [&str; 3] = [
    "problem wait for podInfo repo sync",
    "timed out waiting for the condition",
    "1",
];
/// A CPU limit at which the controller starts well within any of the budgets.
const FAST: u32 = 150;
/// How long a rescued controller must stay ready.
pub const STAYS: Duration = Duration::from_secs(20);

/// Removes a variant, whether or not it came so far.
pub async fn remove(story: &Story, namespace: &str) {
    let binding = format!("{CONTROLLER}-{namespace}");
    for object in [["clusterrolebinding", &binding], ["namespace", namespace]] {
        let delete = ["delete", object[0], object[1], "--ignore-not-found"];
        story.kubectl(&delete).await.unwrap();
    }
}

/// In a small cluster it starts, and gets the first rung and nothing more.
pub async fn small(story: &Story) -> Controller {
    let controller = story.deploy("grown", Owner::Kubectl, FAST).await.unwrap();
    assert_eq!(controller.ready().await.unwrap(), 0);
    controller
        .apply_policy(&StoryPolicy::timings("Enforce"))
        .await
        .unwrap();
    controller
        .status("the first rung", covered(60))
        .await
        .unwrap();
    assert_eq!(controller.ready().await.unwrap(), 0);
    assert_eq!(probes(&controller).await, (CHART, Some(startup(60))));
    assert_eq!(controller.generation().await.unwrap(), 2, "one write");
    controller
}

/// The cluster grew while the policy was there: the second rung came before any kill.
pub async fn grown(controller: &Controller) {
    controller
        .status("the second rung", covered(110))
        .await
        .unwrap();
    assert_eq!(
        controller.ready().await.unwrap(),
        0,
        "nothing was ever killed"
    );
    assert_eq!(probes(controller).await, (RUNG, None));
    assert_eq!(controller.generation().await.unwrap(), 3, "one write more");
}

/// Killed by its liveness probe, in Observe still killed, in Enforce rescued by exactly the rung's timings.
pub async fn killed(story: &Story, millicpu: u32) -> Controller {
    let controller = story
        .deploy("killed", Owner::Kubectl, millicpu)
        .await
        .unwrap();
    assert_eq!(probes(&controller).await, (CHART, None));

    controller
        .apply_policy(&StoryPolicy::timings("Observe"))
        .await
        .unwrap();
    controller.killed().await.unwrap();
    let seen = controller
        .status("the kill to be recognised", |status| {
            status.verdict.as_deref() == Some("StartupKill")
        })
        .await
        .unwrap();
    assert_eq!(last_words(&controller).await, LAST_WORDS);
    assert_eq!(reason(&seen, "InSync"), "ObserveOnly");
    assert_eq!(need_and_budget(&seen), (Some(110), Some(40)));
    assert!(seen.startup.unwrap().count.unwrap() >= 10_000);
    let desired = seen.desired.unwrap().liveness_probe.unwrap();
    assert_eq!(desired.failure_threshold, Some(6));
    assert_eq!(
        controller.generation().await.unwrap(),
        1,
        "Observe writes nothing"
    );

    controller
        .apply_policy(&StoryPolicy::timings("Enforce"))
        .await
        .unwrap();
    let covered = controller
        .status("the budget to cover the need", covered(110))
        .await
        .unwrap();
    rescued(&controller).await;
    assert_eq!(probes(&controller).await, (RUNG, None));
    assert_eq!(controller.generation().await.unwrap(), 2, "one write");
    let baseline = covered.baseline.unwrap().liveness_probe.unwrap();
    assert_eq!(baseline.initial_delay_seconds, Some(30));
    controller
}

/// A Deployment that has looped for a while is for ever rolling out. The policy asks for a startup budget.
pub async fn long_looping(story: &Story, millicpu: u32) {
    let controller = story
        .deploy("looping", Owner::Kubectl, millicpu)
        .await
        .unwrap();
    controller.restarted(3).await.unwrap();
    controller
        .apply_policy(&StoryPolicy::budget("Enforce", 150))
        .await
        .unwrap();
    controller
        .status("the budget to cover the need", covered(150))
        .await
        .unwrap();
    rescued(&controller).await;
    assert_eq!(probes(&controller).await, (CHART, Some(startup(150))));
    assert_eq!(controller.generation().await.unwrap(), 2, "one write");
}

/// The owner applies server-side and keeps his liveness timings; the need arrives as a startup probe, and his next apply meets no conflict.
pub async fn server_side(story: &Story, namespace: &str, manager: &'static str, millicpu: u32) {
    let owner = Owner::ServerSide(manager);
    let controller = story.deploy(namespace, owner, millicpu).await.unwrap();
    controller.killed().await.unwrap();
    controller
        .apply_policy(&StoryPolicy::timings("Enforce"))
        .await
        .unwrap();
    controller
        .status("the budget to cover the need", covered(110))
        .await
        .unwrap();
    controller.apply_again(millicpu).await.unwrap();
    rescued(&controller).await;
    assert_eq!(probes(&controller).await, (CHART, Some(startup(110))));
    assert_eq!(controller.generation().await.unwrap(), 2, "one write");
}

/// No rules at all: one kill, one raise, ready.
pub async fn without_rules(story: &Story, millicpu: u32) {
    let controller = story
        .deploy("no-rules", Owner::Kubectl, millicpu)
        .await
        .unwrap();
    controller
        .apply_policy(&StoryPolicy::kills_alone("Enforce"))
        .await
        .unwrap();
    let raised = controller
        .status("the raise", |status| {
            status.raises == Some(1) && reason(status, "InSync") == "Covered"
        })
        .await
        .unwrap();
    let need = need_and_budget(&raised).0.unwrap();
    assert!(
        (100..=170).contains(&need),
        "twice the killed life: {need} s"
    );
    assert_eq!(
        controller.ready().await.unwrap(),
        0,
        "the new pod starts without a restart"
    );
    controller.stays_ready(STAYS).await.unwrap();
    let (liveness, startup) = probes(&controller).await;
    assert_eq!((liveness, startup.is_some()), (CHART, true));
    assert_eq!(controller.generation().await.unwrap(), 2, "one write");
}

/// Less is needed again. Nothing changes while lower is Disabled; Enabled, and its window passed, the first rung comes back.
pub async fn small_again(controller: &Controller) {
    controller
        .status("the smaller need", |status| {
            need_and_budget(status).0 == Some(60)
        })
        .await
        .unwrap();
    assert_eq!(probes(controller).await, (RUNG, None));
    assert_eq!(controller.generation().await.unwrap(), 2);

    controller
        .apply_policy(&StoryPolicy::timings("Enforce").lowering_at_once())
        .await
        .unwrap();
    controller
        .status("the first rung", covered(60))
        .await
        .unwrap();
    assert_eq!(controller.ready().await.unwrap(), 0);
    assert_eq!(probes(controller).await, (CHART, Some(startup(60))));
    assert_eq!(controller.generation().await.unwrap(), 3, "one write");
}

/// Ready without a restart, and stays so; kubectl shows it.
async fn rescued(controller: &Controller) {
    assert_eq!(
        controller.ready().await.unwrap(),
        0,
        "the new pod of {controller} starts without a restart"
    );
    controller.stays_ready(STAYS).await.unwrap();
    let line = line(controller).await;
    let columns: Vec<_> = line.split_whitespace().collect();
    let [_, target, mode, count, need, budget, in_sync, ..] = columns.as_slice() else {
        panic!("unexpected columns: {line}");
    };
    assert_eq!(*target, format!("deployment/{CONTROLLER}"));
    assert_eq!((*mode, *in_sync), ("Enforce", "True"), "{line}");
    assert!(count.parse::<u64>().unwrap() >= 10_000, "{line}");
    assert_eq!(need, budget, "{line}");
}

/// Message, error and exit code of the controller's last life.
async fn last_words(controller: &Controller) -> [String; 3] {
    let target = format!("deployment/{CONTROLLER}");
    let namespace = controller.namespace();
    let log = ["logs", "--previous", "-n", namespace, &target];
    let log = controller.kubectl(&log).await.unwrap();
    let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let path = "jsonpath={.items[0].status.containerStatuses[0].lastState.terminated.exitCode}";
    let code = ["get", "pods", "-n", namespace, "-o", path];
    let code = controller.kubectl(&code).await.unwrap();
    let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    [text("msg"), text("error"), code]
}
