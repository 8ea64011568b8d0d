//! Every form of the result.

use crate::{STARTS, lbc, plan, rules};
use serde_json::json;

#[test]
fn text_json_and_svg() {
    for (name, args) in [
        ("at", vec!["--count", "12000"]),
        ("at_low", vec!["--count", "120", "--curve", STARTS]),
        ("over", vec![]),
        (
            "over_curve",
            vec!["--from", "100", "--to", "100000", "--curve", STARTS],
        ),
    ] {
        for output in ["text", "json", "svg"] {
            let mut args = args.clone();
            args.extend(["-o", output]);
            let ran = lbc(&args);
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
            insta::assert_snapshot!(format!("plan_{name}_{output}"), ran.stdout);
        }
    }
    let nginx = rules(
        &json!({"interpolate": [{"count": 100, "startupSeconds": 20}, {"count": 1000, "startupSeconds": 961}]}),
    );
    let ran = plan(
        &nginx,
        "aws-load-balancer-controller.yaml",
        &["--from", "10"],
    );
    insta::assert_snapshot!("plan_over_a_curve_text", ran.stdout);
    let enough = rules(&json!({"steps": [{"atLeast": 0, "startupSeconds": 35}]}));
    let ran = plan(
        &enough,
        "aws-load-balancer-controller.yaml",
        &["--to", "50"],
    );
    insta::assert_snapshot!("plan_over_nothing_text", ran.stdout);
    let ran = plan(
        &enough,
        "aws-load-balancer-controller.yaml",
        &["--count", "50"],
    );
    insta::assert_snapshot!("plan_at_nothing_text", ran.stdout);
}

#[test]
fn every_colour_of_the_pictures_has_a_dark_one() {
    for args in [
        vec!["--count", "500", "--curve", STARTS, "-o", "svg"],
        vec!["--curve", STARTS, "-o", "svg"],
    ] {
        let svg = lbc(&args).stdout;
        let (style, body) = svg.split_once("</style>").expect("a style sheet");
        for attribute in ["fill=\"#", "stroke=\"#"] {
            for part in body.split(attribute).skip(1) {
                let colour = &part[..6];
                assert!(
                    style.contains(&format!("[{attribute}{colour}\"]")),
                    "#{colour} stays as it is in the dark"
                );
            }
        }
    }
}
