//! `flamewarden demo` as a newcomer types it, in a short form: the programs really run, in processes of their own.

use serde_json::Value;

use crate::cli::flamewarden;
use crate::harness::Flamewarden;

#[actix_web::test]
async fn the_demo_runs_both_versions_and_every_command_that_it_prints_works() {
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
