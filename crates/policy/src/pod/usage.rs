//! What containers use, as metrics.k8s.io says it. Only advice looks at it.

use serde_json::Value;

use super::PodView;
use crate::advice::Unmeasured;
use crate::evidence::Quantity;

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU in use; `None` is not measured, never zero.
    pub cpu: Option<Quantity>,
    /// Memory in use; `None` is not measured, never zero.
    pub memory: Option<Quantity>,
    /// Why it is not known, where somebody asked for it.
    pub unmeasured: Option<Unmeasured>,
}

impl Usage {
    /// Containers and what they use, of a PodMetrics object (metrics.k8s.io/v1beta1).
    #[must_use]
    pub fn of_pod(metrics: &Value) -> Vec<(String, Self)> {
        let containers = metrics["containers"].as_array();
        let usage = containers.into_iter().flatten().filter_map(|container| {
            let amount = |name| Quantity::parse(container["usage"][name].as_str()?);
            let usage = Self {
                cpu: amount("cpu"),
                memory: amount("memory"),
                unmeasured: None,
            };
            Some((container["name"].as_str()?.to_owned(), usage))
        });
        usage.collect()
    }
}

impl PodView {
    /// Takes in what was measured of its containers, or why nothing was. A sample without one of them says nothing of it.
    pub fn measure(&mut self, answer: &Result<Vec<(String, Usage)>, Unmeasured>) {
        for (name, view) in &mut self.containers {
            view.usage = match answer {
                Ok(usages) => {
                    let mut usages = usages.iter();
                    let found = usages.find(|(of, _)| of == name);
                    found.map(|(_, usage)| *usage).unwrap_or_default()
                }
                Err(why) => Usage {
                    unmeasured: Some(*why),
                    ..Usage::default()
                },
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pod::ContainerView;

    #[test]
    fn each_container_has_its_own_use_and_what_cannot_be_read_is_unknown() {
        let metrics = json!({"containers": [
            {"name": "a", "usage": {"cpu": "95000000n", "memory": "131072Ki"}},
            {"name": "b", "usage": {"cpu": "much"}},
            {"usage": {"cpu": "1"}},
        ]});
        let found = Usage::of_pod(&metrics);
        assert_eq!(found.len(), 2);
        let mut pod = PodView {
            containers: ["a", "b", "c"]
                .map(|name| (name.to_owned(), ContainerView::default()))
                .into(),
            ..PodView::default()
        };
        pod.measure(&Ok(found));
        let expected = Usage {
            cpu: Quantity::parse("95m"),
            memory: Quantity::parse("128Mi"),
            unmeasured: None,
        };
        assert_eq!(pod.containers["a"].usage, expected);
        assert_eq!(pod.containers["b"].usage, Usage::default());
        assert_eq!(pod.containers["c"].usage, Usage::default());
        pod.measure(&Err(Unmeasured::Forbidden));
        let usages = pod.containers.values().map(|view| view.usage);
        for usage in usages {
            assert_eq!(usage.unmeasured, Some(Unmeasured::Forbidden));
            assert_eq!((usage.cpu, usage.memory), (None, None));
        }
    }
}
