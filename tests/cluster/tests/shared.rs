//! The cluster that tests share: what a user's workload finds in it. Each test works in a namespace of its own.

mod common;

use std::time::Duration;

use common::{phase, shell_pod};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::Api;
use kube::api::PostParams;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{BUSYBOX, Cluster, Image, NODE, PodFleet, TestNamespace};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_node_runs_the_version_that_was_built() {
    let cluster = Cluster::shared().await.unwrap();
    let health = cluster.health().await;
    assert!(health.is_healthy(), "{:?}", health.problems);
    let node = Api::<Node>::all(cluster.client().await.unwrap())
        .get(NODE)
        .await
        .unwrap();
    let version = node.status.unwrap().node_info.unwrap().kubelet_version;
    let kubectl: serde_json::Value = serde_json::from_str(
        &cluster
            .kubectl()
            .unwrap()
            .run(["version", "--output=json"])
            .await
            .unwrap(),
    )
    .unwrap();
    assert!(version.starts_with("v1.36."), "{version}");
    assert_eq!(kubectl["serverVersion"]["gitVersion"], *version);
    assert_eq!(kubectl["clientVersion"]["gitVersion"], *version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_reaches_the_api_with_its_service_account() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    let namespace = TestNamespace::create(&client, "account").await.unwrap();
    // kubectl as an image of our own, run by a user without a name, with nothing but the pod's account.
    let program = std::fs::read(cluster.kubectl().unwrap().command().get_program()).unwrap();
    let image = Image::new("probepilot.test/kubectl:1")
        .file("/kubectl", program, 0o755)
        .entrypoint(["/kubectl"])
        .user("65532:65532");
    cluster.load_image(&image).await.unwrap();
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "whoami"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "main",
                "image": image.name(),
                "imagePullPolicy": "Never",
                "args": ["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"],
            }],
        },
    }))
    .unwrap();
    Api::<Pod>::namespaced(client.clone(), namespace.name())
        .create(&PostParams::default(), &pod)
        .await
        .unwrap();
    phase(&client, namespace.name(), "whoami", "Succeeded")
        .await
        .unwrap();
    let kubectl = cluster.kubectl().unwrap();
    let said = kubectl
        .run(["logs", "whoami", "--namespace", namespace.name()])
        .await
        .unwrap();
    assert_eq!(
        said.trim(),
        format!("system:serviceaccount:{}:default", namespace.name())
    );
    namespace.delete().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_exec_and_services_work() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    let namespace = TestNamespace::create(&client, "exec").await.unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), namespace.name());
    let script =
        "echo it works; mkdir /www; echo page > /www/index.html; exec httpd -f -p 8080 -h /www";
    let mut web = shell_pod("web", script);
    web.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
    pods.create(&PostParams::default(), &web).await.unwrap();
    phase(&client, namespace.name(), "web", "Running")
        .await
        .unwrap();

    let kubectl = cluster.kubectl().unwrap();
    let run = async |arguments: &[&str]| {
        kubectl
            .run(["--namespace", namespace.name()].iter().chain(arguments))
            .await
    };
    let said = wait::until("the pod's log", Duration::from_secs(20), || async {
        let said = run(&["logs", "web"]).await?;
        Ok::<_, probepilot_test_cluster::Error>(if said.is_empty() {
            Seen::NotYet("nothing".into())
        } else {
            Seen::Done(said)
        })
    })
    .await
    .unwrap();
    assert_eq!(said, "it works\n");
    let failed = run(&["exec", "web", "--", "sh", "-c", "echo out; exit 7"])
        .await
        .unwrap_err()
        .to_string();
    assert!(failed.contains("exit code 7"), "{failed}");
    assert_eq!(
        run(&["exec", "web", "--", "cat", "/www/index.html"])
            .await
            .unwrap(),
        "page\n"
    );

    // kube-proxy leads a service's address to the pod, for a pod as well.
    run(&["expose", "pod", "web", "--port=80", "--target-port=8080"])
        .await
        .unwrap();
    let address = run(&["get", "service", "web", "-o", "jsonpath={.spec.clusterIP}"])
        .await
        .unwrap();
    pods.create(&PostParams::default(), &shell_pod("visitor", "sleep 600"))
        .await
        .unwrap();
    phase(&client, namespace.name(), "visitor", "Running")
        .await
        .unwrap();
    wait::until(
        "the service to answer a pod",
        Duration::from_secs(30),
        || async {
            let page = run(&[
                "exec",
                "visitor",
                "--",
                "wget",
                "-q",
                "-O",
                "-",
                &format!("http://{address}/index.html"),
            ])
            .await?;
            Ok::<_, probepilot_test_cluster::Error>(if page == "page\n" {
                Seen::Done(())
            } else {
                Seen::NotYet(page)
            })
        },
    )
    .await
    .unwrap();
    namespace.delete().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_fake_pods_come_run_are_counted_and_go() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    let namespace = TestNamespace::create(&client, "fleet").await.unwrap();
    cluster.add_fake_nodes(5).await.unwrap();
    let fleet = PodFleet::new(namespace.name(), 900).env_bytes(1_000);
    let took = cluster.create_pods(&fleet).await.unwrap();
    eprintln!("900 pods in {took:?}");
    cluster
        .create_pods(&PodFleet::new(namespace.name(), 200).first(800))
        .await
        .unwrap();
    assert_eq!(
        cluster.count_pods(namespace.name()).await.unwrap(),
        1_000,
        "100 of 200 were there already"
    );
    cluster
        .fleet_running(namespace.name(), Duration::from_mins(2))
        .await
        .unwrap();
    let pods = Api::<Pod>::namespaced(client.clone(), namespace.name());
    let status = pods.get("fake-000999").await.unwrap().status.unwrap();
    let ready = status
        .conditions
        .unwrap()
        .into_iter()
        .find(|condition| condition.type_ == "Ready")
        .unwrap();
    assert_eq!(ready.status, "True");
    assert!(status.container_statuses.unwrap()[0].ready);
    // kwok finishes a deletion that leaves time to the pod.
    pods.delete("fake-000000", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    wait::until(
        "kwok to let a deleted pod go",
        Duration::from_secs(20),
        || async {
            Ok::<_, kube::Error>(match pods.get_opt("fake-000000").await? {
                None => Seen::Done(()),
                Some(pod) => Seen::NotYet(format!("{:?}", pod.metadata.deletion_timestamp)),
            })
        },
    )
    .await
    .unwrap();
    let took = cluster.delete_pods(namespace.name()).await.unwrap();
    eprintln!("999 pods deleted in {took:?}");
    assert_eq!(cluster.count_pods(namespace.name()).await.unwrap(), 0);
    namespace.delete().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_with_its_test_even_when_the_test_fails() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    let api = Api::<Namespace>::all(client.clone());
    let dropped = TestNamespace::create(&client, "drop").await.unwrap();
    let kept = TestNamespace::create(&client, "drop").await.unwrap();
    assert_ne!(dropped.name(), kept.name());
    let name = dropped.name().to_owned();
    drop(dropped);
    wait::until(
        "the dropped namespace to go",
        Duration::from_mins(1),
        || async {
            Ok::<_, kube::Error>(match api.get_opt(&name).await? {
                None => Seen::Done(()),
                Some(namespace) => Seen::NotYet(format!("{:?}", namespace.status)),
            })
        },
    )
    .await
    .unwrap();
    // What a killed test process left is swept by the next one; what a living one has is not.
    let patch = json!({"metadata": {"labels": {"probepilot.test/owner": "2147483647-1"}}});
    let orphan = TestNamespace::create(&client, "orphan").await.unwrap();
    api.patch(
        orphan.name(),
        &kube::api::PatchParams::default(),
        &kube::api::Patch::Merge(patch),
    )
    .await
    .unwrap();
    let next = TestNamespace::create(&client, "next").await.unwrap();
    let deleted = async |name: &str| {
        api.get_opt(name)
            .await
            .unwrap()
            .is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some())
    };
    assert!(deleted(orphan.name()).await);
    assert!(!deleted(kept.name()).await);
    kept.delete().await.unwrap();
    next.delete().await.unwrap();
    orphan.delete().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn busybox_has_a_shell_and_pods_see_no_world_outside() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    let namespace = TestNamespace::create(&client, "inside").await.unwrap();
    let mut pod = shell_pod(
        "probe",
        "nc -w 2 10.96.0.1 443 </dev/null && echo api; nc -w 2 203.0.113.1 80 </dev/null && echo world; true",
    );
    pod.spec.as_mut().unwrap().restart_policy = Some("Never".into());
    assert_eq!(
        pod.spec.as_ref().unwrap().containers[0].image.as_deref(),
        Some(BUSYBOX)
    );
    Api::<Pod>::namespaced(client.clone(), namespace.name())
        .create(&PostParams::default(), &pod)
        .await
        .unwrap();
    phase(&client, namespace.name(), "probe", "Succeeded")
        .await
        .unwrap();
    let said = cluster
        .kubectl()
        .unwrap()
        .run(["logs", "probe", "--namespace", namespace.name()])
        .await
        .unwrap();
    assert!(said.contains("api") && !said.contains("world"), "{said}");
    namespace.delete().await.unwrap();
}
