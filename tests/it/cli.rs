//! `flamewarden triage` as a user runs it: whole processes, a live server, and their output.

use rstest::rstest;
use serde_json::Value;

use crate::api::pushing::collecting;
use crate::harness::Flamewarden;

/// Exit code, standard output and standard error of a command.
pub(crate) async fn flamewarden(arguments: &[&str], server: &str) -> (i32, String, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    command.args(arguments).env("FLAMEWARDEN_URL", server);
    let output = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[actix_web::test]
async fn a_triage_is_a_table_that_a_person_can_read() {
    let server = Flamewarden::start().await;
    collecting("my shop").ingest(&server).await;
    let (exit, table, errors) = flamewarden(&["triage", "my shop"], server.base()).await;
    assert_eq!((exit, errors.as_str()), (0, ""), "{table}");
    for line in [
        "my shop  ",
        "PROBLEM: gc_pressure (high)",
        "cpu: gc_pressure, high, 70.0 % (",
        "1000 samples",
        "gc_pressure            70.00",
        "  70.00 %  runtime.scanobject",
        &format!("flame graph: {}/profiles/my%20shop/flamegraph?", server.base()),
    ] {
        assert!(table.contains(line), "{line:?} is not in\n{table}");
    }
    let (exit, ..) = flamewarden(&["triage", "my shop", "--server", server.base()], "http://127.0.0.1:9").await;
    assert_eq!(exit, 0, "--server wins over the environment");
}

#[actix_web::test]
async fn with_json_the_servers_answer_is_printed_as_it_came() {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    let (_, answer) = server.json("/triage/shop?types=cpu&from=now-2h&to=now&limit=1").await;
    let window = ["--from", &answer["from"].to_string(), "--to", &answer["to"].to_string()];
    let arguments = [&["triage", "shop", "--json", "--types", "cpu", "--limit", "1"], &window[..]].concat();
    let (exit, printed, _) = flamewarden(&arguments, server.base()).await;
    assert_eq!((exit, serde_json::from_str::<Value>(&printed).unwrap()), (0, answer));
}

#[rstest]
#[case::unknown_app(&["triage", "nobody"], 3, "nobody")]
#[case::no_data(&["triage", "shop", "--from", "now-5h", "--to", "now-4h"], 3, "")]
#[case::unknown_type(&["triage", "shop", "--types", "disk"], 2, "goroutine")]
#[case::bad_window(&["triage", "shop", "--from", "now", "--to", "now-1h"], 2, "before")]
#[case::no_app(&["triage"], 2, "<APP>")]
#[case::nobody_listens(&["triage", "shop", "--server", "http://127.0.0.1:9"], 3, "http://127.0.0.1:9")]
#[actix_web::test]
async fn the_exit_code_says_what_became_of_it(#[case] arguments: &[&str], #[case] code: i32, #[case] says: &str) {
    let server = Flamewarden::start().await;
    collecting("shop").ingest(&server).await;
    let (exit, printed, errors) = flamewarden(arguments, server.base()).await;
    assert_eq!(exit, code, "{printed}{errors}");
    assert!(errors.contains(says), "{errors}");
}

#[actix_web::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    let piped = std::process::Stdio::piped;
    let mut printing = command.arg("openapi").stdout(piped()).stderr(piped()).spawn().unwrap();
    drop(printing.stdout.take());
    let output = printing.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[actix_web::test]
async fn an_exported_file_is_judged_as_the_server_judges_it() {
    let server = Flamewarden::start().await;
    collecting("shop").push(&server).await;
    let (_, mut served) = server.json("/triage/shop?from=now-1h&to=now").await;
    let window = format!("from={}&to={}", served["from"], served["to"]);
    let export = server.get(&format!("/profiles/shop/export?{window}")).send().await.unwrap().bytes().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.pb.gz");
    std::fs::write(&file, export).unwrap();
    let arguments = ["triage", "--json", "--file", file.to_str().unwrap()];
    let (exit, printed, errors) = flamewarden(&arguments, server.base()).await;
    assert_eq!((exit, errors.as_str()), (0, ""));
    // Without a server there are no limits, no history and no links.
    for (holder, members) in [
        ("", &["links"][..]),
        ("/summary", &["baselineViolations"]),
        ("/profiles/cpu", &["links", "baselineViolations", "baselinesNotSeen"]),
    ] {
        let holder = served.pointer_mut(holder).unwrap().as_object_mut().unwrap();
        for member in members {
            assert!(holder.remove(*member).is_some(), "{member}");
        }
    }
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), served);
}
