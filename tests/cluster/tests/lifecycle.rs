//! Starting, breaking, repairing and removing real clusters. Each test has clusters of its own.

#![allow(clippy::panic, reason = "a test ends where its ground is missing")]

mod common;

use std::time::Duration;

use common::{Own, leftovers, named, phase, shell_pod};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, ClusterOptions, Component, Error, Identity, Progress};

fn pids(cluster: &Cluster) -> Vec<Identity> {
    Component::ALL
        .iter()
        .map(|component| {
            component
                .pid_file(cluster.layout())
                .alive()
                .unwrap_or_else(|| panic!("{} does not run", component.name()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_and_started_by_many() {
    let options = ClusterOptions::new(named("race"));
    let race = Own::start(&options).await;
    let before = pids(&race.cluster);

    // Up twice changes nothing.
    let again = Cluster::start(&options, &Progress::stderr()).await.unwrap();
    assert_eq!(pids(&again), before);
    // Nor is a cluster handed out that was started otherwise.
    let other = options
        .clone()
        .max_container_restart_period(Duration::from_secs(10));
    assert!(matches!(
        Cluster::start(&other, &Progress::stderr()).await,
        Err(Error::OtherOptions { .. })
    ));

    // Several ask for a second cluster at once: it is started once, beside the first.
    let second = ClusterOptions::new(named("race-two"))
        .max_container_restart_period(Duration::from_secs(10));
    Cluster::stop_named(&second.name).await.unwrap();
    let progress = Progress::stderr();
    let (a, b, c) = tokio::join!(
        Cluster::start(&second, &progress),
        Cluster::start(&second, &progress),
        Cluster::start(&second, &progress)
    );
    let two = Own {
        cluster: a.unwrap(),
    };
    let started = pids(&two.cluster);
    assert_eq!(pids(&b.unwrap()), started);
    assert_eq!(pids(&c.unwrap()), started);
    assert!(started.iter().all(|identity| !before.contains(identity)));

    // Each is a Kubernetes of its own.
    for (cluster, name) in [(&race.cluster, "in-one"), (&two.cluster, "in-two")] {
        let client = cluster.client().await.unwrap();
        Api::<Pod>::default_namespaced(client.clone())
            .create(&PostParams::default(), &shell_pod(name, "sleep 600"))
            .await
            .unwrap();
        phase(&client, "default", name, "Running").await.unwrap();
        let names = cluster
            .kubectl()
            .unwrap()
            .run(["get", "pods", "-o", "name"])
            .await
            .unwrap();
        assert_eq!(names.trim(), format!("pod/{name}"));
    }

    // One goes, with a running pod, and the other stays whole.
    two.cluster.stop().await.unwrap();
    assert_eq!(leftovers(two.cluster.layout()), Vec::<String>::new());
    let health = race.cluster.health().await;
    assert!(health.is_healthy(), "{:?}", health.problems);
    assert!(matches!(
        Cluster::attach(&second.name),
        Err(Error::NotRunning(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_seen_and_removed_whole() {
    let options = ClusterOptions::new(named("crash"));
    let own = Own::start(&options).await;
    let cluster = &own.cluster;
    let client = cluster.client().await.unwrap();
    Api::<Pod>::default_namespaced(client.clone())
        .create(&PostParams::default(), &shell_pod("left", "sleep 600"))
        .await
        .unwrap();
    phase(&client, "default", "left", "Running").await.unwrap();
    assert!(
        !leftovers(cluster.layout()).is_empty(),
        "the search finds what is there"
    );

    for victim in [Component::Etcd, Component::Kubelet] {
        let process = victim.pid_file(cluster.layout()).alive().unwrap();
        process.end(victim.name(), Duration::ZERO).await.unwrap();
    }
    let problems = cluster.health().await.problems.join("; ");
    assert!(
        problems.contains("etcd is not running") && problems.contains("kubelet is not running"),
        "{problems}"
    );
    assert!(Cluster::stop_named(&options.name).await.unwrap());
    assert_eq!(leftovers(cluster.layout()), Vec::<String>::new());
    assert!(
        !Cluster::stop_named(&options.name).await.unwrap(),
        "nothing is there any more"
    );

    // Every daemon killed, no pid file left, and a start that heals it.
    let cluster = Cluster::start(&options, &Progress::stderr()).await.unwrap();
    let before = pids(&cluster);
    for component in Component::ALL {
        let file = component.pid_file(cluster.layout());
        file.alive()
            .unwrap()
            .end(component.name(), Duration::ZERO)
            .await
            .unwrap();
        file.remove().unwrap();
    }
    let cluster = Cluster::start(&options, &Progress::stderr()).await.unwrap();
    assert!(
        pids(&cluster)
            .iter()
            .all(|identity| !before.contains(identity))
    );
    assert!(cluster.health().await.is_healthy());
    cluster.stop().await.unwrap();
    assert_eq!(leftovers(cluster.layout()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kubelet_and_the_api_server_restart() {
    let own = Own::start(&ClusterOptions::new(named("parts"))).await;
    let cluster = &own.cluster;
    let client = cluster.client().await.unwrap();

    let api_server = Component::ApiServer.pid_file(cluster.layout());
    let before = api_server.alive().unwrap();
    cluster.restart_apiserver().await.unwrap();
    assert_ne!(api_server.alive().unwrap(), before);

    // A stopped kubelet leaves its pods alone; a started one takes them over.
    let pods = Api::<Pod>::default_namespaced(client.clone());
    pods.create(&PostParams::default(), &shell_pod("first", "sleep 600"))
        .await
        .unwrap();
    phase(&client, "default", "first", "Running").await.unwrap();
    cluster.stop_kubelet().await.unwrap();
    assert_eq!(cluster.health().await.problems, ["kubelet is not running"]);
    pods.create(&PostParams::default(), &shell_pod("second", "sleep 600"))
        .await
        .unwrap();
    wait::holds(
        "nothing to start the second pod",
        Duration::from_secs(3),
        || async {
            let pod = pods
                .get("second")
                .await
                .map_err(|error| error.to_string())?;
            let phase = pod.status.and_then(|status| status.phase);
            if phase.as_deref() == Some("Pending") {
                Ok(())
            } else {
                Err(format!("{phase:?}"))
            }
        },
    )
    .await
    .unwrap();
    cluster.start_kubelet().await.unwrap();
    phase(&client, "default", "second", "Running")
        .await
        .unwrap();
    let first = pods.get("first").await.unwrap();
    assert_eq!(
        first.status.unwrap().container_statuses.unwrap()[0].restart_count,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_merely_slow_is_not_thrown_away() {
    let options = ClusterOptions::new(named("slow"));
    let own = Own::start(&options).await;
    let before = pids(&own.cluster);
    // A stopped process is alive and answers nothing, as on a machine with too much to do.
    let api_server = Component::ApiServer
        .pid_file(own.cluster.layout())
        .alive()
        .unwrap();
    api_server.signal(rustix::process::Signal::STOP).unwrap();
    let health = own.cluster.health().await;
    assert!(
        health.problems.join("; ").contains("has not answered"),
        "{:?}",
        health.problems
    );
    let progress = Progress::stderr();
    let (again, ()) = tokio::join!(Cluster::start(&options, &progress), async {
        wait::holds(
            "the server to stay silent",
            Duration::from_secs(3),
            || async { Ok::<_, String>(()) },
        )
        .await
        .unwrap();
        api_server.signal(rustix::process::Signal::CONT).unwrap();
    });
    assert_eq!(pids(&again.unwrap()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_the_operators_accounts_are_audited_and_no_others() {
    let own = Own::start(&ClusterOptions::new(named("audit"))).await;
    let cluster = &own.cluster;
    let kubectl = cluster.kubectl().unwrap();
    // Of two accounts that may not list pods, the one in the operator's namespace is found in the log.
    for namespace in ["probepilot-system", "elsewhere"] {
        kubectl
            .run(["create", "namespace", namespace])
            .await
            .unwrap();
        kubectl
            .run([
                "create",
                "serviceaccount",
                "tester",
                "--namespace",
                namespace,
            ])
            .await
            .unwrap();
        let token = kubectl
            .run(["create", "token", "tester", "--namespace", namespace])
            .await
            .unwrap();
        // A client certificate would come before the token.
        let url = cluster.layout().api_url();
        let denied = kubectl
            .run([
                "--kubeconfig=/dev/null",
                "--insecure-skip-tls-verify",
                "--server",
                &url,
                "--token",
                token.trim(),
                "get",
                "pods",
            ])
            .await
            .unwrap_err()
            .to_string();
        assert!(denied.contains("Forbidden"), "{denied}");
    }
    let events = wait::until(
        "the denied request in the audit log",
        Duration::from_secs(10),
        || async {
            let log = std::fs::read_to_string(cluster.audit_log())?;
            let events: Vec<serde_json::Value> = log
                .lines()
                .map(serde_json::from_str)
                .collect::<Result<_, _>>()?;
            let denied = events
                .iter()
                .any(|event| event["verb"] == "list" && event["responseStatus"]["code"] == 403);
            Ok::<_, std::io::Error>(if denied {
                Seen::Done(events)
            } else {
                Seen::NotYet(log)
            })
        },
    )
    .await
    .unwrap();
    for event in events {
        assert_eq!(
            event["user"]["username"],
            "system:serviceaccount:probepilot-system:tester"
        );
        assert_eq!(event["stage"], "ResponseComplete");
        assert_eq!(event["level"], "Metadata");
    }
}
