//! How fast this machine creates and deletes fake pods: `cargo run -p probepilot-test-cluster --example fleet -- CLUSTER PODS ENV_BYTES`.

use std::time::Duration;

use probepilot_test_cluster::{Cluster, PodFleet};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("name a cluster")?.parse()?;
    let count: usize = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let cluster = Cluster::attach(&name)?;
    println!("{:?} for the nodes", cluster.add_fake_nodes(50).await?);
    let took = cluster
        .create_pods(&PodFleet::new("fleet", count).env_bytes(bytes))
        .await?;
    println!(
        "{took:?} for {count} pods, {} a second",
        count as u128 * 1_000 / took.as_millis().max(1)
    );
    let begin = std::time::Instant::now();
    cluster
        .fleet_running("fleet", Duration::from_mins(5))
        .await?;
    println!("{:?} more until all run", begin.elapsed());
    let took = cluster.delete_pods("fleet").await?;
    println!(
        "{took:?} to delete them, {} a second",
        count as u128 * 1_000 / took.as_millis().max(1)
    );
    Ok(())
}
