//! `flamewarden demo` as a newcomer types it, in a short form: the programs really run, in processes of their own. Then
//! the rest of the README's tour, word for word.

use std::path::Path;

use serde_json::Value;

use crate::cli::flamewarden;
use crate::harness::Flamewarden;

#[actix_web::test]
async fn the_demo_runs_both_versions_and_all_that_it_and_the_readme_propose_works() {
    let server = Flamewarden::start().await;
    if !std::ptr::eq(server.receiver(), &server) {
        return; // One server takes profiles and judges them: the demo is not for a split.
    }
    let (exit, told, errors) = flamewarden(&["demo", "--seconds", "1"], server.base()).await;
    assert_eq!((exit, errors.as_str()), (0, ""), "{told}");
    for app in ["demo-locks", "demo-json", "demo-collections", "demo-arithmetic"] {
        assert!(told.contains(&format!("\n  {app}\n    version 1: ")), "{told}");
        let (_, service): (_, Value) = server.json(&format!("/services/{app}")).await;
        assert_eq!((&service["appName"], &service["environment"]), (&app.into(), &"demo".into()), "{service}");
    }
    let addresses = told.lines().filter_map(|line| line.trim().strip_prefix("curl '"));
    let addresses: Vec<_> = addresses.map(|rest| rest.split('\'').next().unwrap()).collect();
    assert!(addresses.len() >= 8, "{told}");
    for address in addresses {
        let path = address.strip_prefix(server.base()).unwrap();
        let answer = server.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{address}");
    }
    follow_the_tour(server.base()).await;
}

/// Runs every step of the README's tour after the demo.
async fn follow_the_tour(base: &str) {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, tour) = readme.split_once("\n## A tour of five minutes\n").unwrap();
    let steps = tour.split("\n## ").next().unwrap().split("```sh\n").skip(1);
    let steps: Vec<_> = steps.map(|step| step.split("```").next().unwrap()).collect();
    assert!(steps[0].starts_with("cargo run ") && steps[1].contains("\nflamewarden demo "), "{steps:?}");
    let programs = Path::new(env!("CARGO_BIN_EXE_flamewarden")).parent().unwrap().display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    for step in &steps[2..] {
        let script = step
            .replace("localhost:8080", base.strip_prefix("http://").unwrap())
            .replace("curl ", "curl --silent --show-error --fail ");
        let mut shell = tokio::process::Command::new("sh");
        shell.args(["-euc", &script]).env("PATH", &path).env("FLAMEWARDEN_URL", base);
        let output = shell.output().await.unwrap();
        // So short a run may leave too little to compare.
        let fine = output.status.success() || step.contains("flamewarden diff") && output.status.code() == Some(3);
        assert!(fine && !output.stdout.is_empty(), "{script}\n{output:?}");
    }
    assert!(steps.len() >= 7, "{steps:?}");
}

#[actix_web::test]
async fn the_quick_form_leaves_owners_and_limits_alone() {
    let server = Flamewarden::start().await;
    if !std::ptr::eq(server.receiver(), &server) {
        return;
    }
    let (exit, told, _) = flamewarden(&["demo", "--quick", "--seconds", "1"], server.base()).await;
    assert!(exit == 0 && !told.contains("version 1: ") && told.contains("version 2: "), "{told}");
    let (_, services) = server.json("/services").await;
    assert_eq!(services["count"], 0, "{services}");
}
