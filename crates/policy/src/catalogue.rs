//! Controllers whose ways are known: own timeouts, the flag that sets them, and what drives the start.
//!
//! Data only. An image is matched by the last parts of its repository, so mirrors match too.

/// What is known of one controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Last parts of the image's repository.
    pub image: &'static str,
    /// Seconds after which it gives up by itself while it starts.
    pub own_timeouts: &'static [u32],
    /// The flag or field that sets this, where there is one.
    pub timeout_knob: Option<&'static str>,
    /// Where this is written.
    pub source: &'static str,
}

/// Source: catalogue, section 4 and "Own-timeout clocks"; each with the thread it was read in.
const CONTROLLERS: [Controller; 6] = [
    Controller {
        image: "aws-load-balancer-controller",
        own_timeouts: &[120],
        timeout_knob: None,
        source: "kubernetes-sigs/aws-load-balancer-controller#4855",
    },
    Controller {
        image: "kube-router",
        own_timeouts: &[60],
        timeout_knob: Some("--cache-sync-timeout"),
        source: "cloudnativelabs/kube-router#2151",
    },
    Controller {
        image: "cluster-autoscaler",
        own_timeouts: &[],
        timeout_knob: Some("--max-startup-time"),
        source: "kubernetes/autoscaler#9510",
    },
    Controller {
        image: "linkerd/controller",
        own_timeouts: &[60],
        timeout_knob: None,
        source: "linkerd/linkerd2#8245",
    },
    Controller {
        image: "cert-manager-cainjector",
        own_timeouts: &[120],
        timeout_knob: None,
        source: "cert-manager/cert-manager#6134",
    },
    Controller {
        image: "amazon-k8s-cni",
        own_timeouts: &[36],
        timeout_knob: None,
        source: "aws/amazon-vpc-cni-k8s#1049",
    },
];

/// What is known of the controller of this image.
#[must_use]
pub fn find(image: &str) -> Option<&'static Controller> {
    CONTROLLERS
        .iter()
        .find(|controller| is_image(image, controller.image))
}

/// Whether the repository of `image` ends with these parts.
#[must_use]
pub fn is_image(image: &str, name: &str) -> bool {
    repository(image)
        .strip_suffix(name)
        .is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The image without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rfind(':') {
        // A colon before the last slash is a registry's port.
        Some(colon) if !image[colon..].contains('/') => &image[..colon],
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_wherever_they_are_mirrored() {
        let cases = [
            (
                "public.ecr.aws/eks/aws-load-balancer-controller:v2.13.0",
                true,
            ),
            ("localhost:5000/aws-load-balancer-controller", true),
            ("mirror/kube-router@sha256:abc", true),
            ("cluster-autoscaler:v1.33.0@sha256:abc", true),
            ("cr.l5d.io/linkerd/controller:edge-25.1", true),
            ("registry.k8s.io/ingress-nginx/controller:v1.13.0", false),
            ("my-aws-load-balancer-controller:v1", false),
            ("", false),
        ];
        for (image, known) in cases {
            assert_eq!(find(image).is_some(), known, "{image}");
        }
    }

    #[test]
    fn every_line_says_where_it_was_read() {
        for controller in CONTROLLERS {
            assert!(!controller.source.is_empty(), "{controller:?}");
        }
    }
}
