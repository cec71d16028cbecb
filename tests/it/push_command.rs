//! `flamewarden push` as a user runs it: files of each format, a live server, and what the server then says.

use std::path::Path;

use flamewarden::kernel::{Clock as _, SystemClock};
use flamewarden::profile::{
    PprofHeader, Profile, ReadLimits, SampleType, read_folded, write_flamebearer, write_pprof, write_speedscope,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::cli::flamewarden;
use crate::harness::Flamewarden;

/// Stacks of which 70 % collect garbage.
const FOLDED: &str = "main;work 300\nmain;runtime.mallocgc;runtime.gcBgMarkWorker;runtime.scanobject 700\n";

fn profile() -> Profile {
    read_folded(FOLDED.as_bytes(), SampleType::new("cpu", "nanoseconds"), &ReadLimits::default()).unwrap()
}

/// A pprof that was taken so many minutes ago, or does not say when.
fn pprof(minutes_ago: Option<i64>) -> Vec<u8> {
    let time = minutes_ago.map(|minutes| SystemClock.now() - chrono::TimeDelta::minutes(minutes));
    write_pprof(&profile(), &PprofHeader { time, ..PprofHeader::default() })
}

/// A node of Pyroscope's `tree`: its name, its value and the number of its children.
fn node(name: &str, value: u8, children: u8) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), &[value, children]].concat()
}

fn cpuprofile() -> Vec<u8> {
    let frame =
        |name: &str| json!({"functionName": name, "scriptId": "1", "url": "a.js", "lineNumber": 1, "columnNumber": 1});
    let file = json!({
        "nodes": [
            {"id": 1, "callFrame": frame("(root)"), "children": [2]},
            {"id": 2, "callFrame": frame("work"), "hitCount": 3},
        ],
        "startTime": 0, "endTime": 30_000, "samples": [2, 2, 2], "timeDeltas": [10_000, 10_000, 10_000],
    });
    file.to_string().into_bytes()
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> String {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

#[actix_web::test]
async fn a_file_of_each_format_is_visible_at_once() {
    let server = Flamewarden::start().await;
    let dir = tempfile::tempdir().unwrap();
    let flamebearer = write_flamebearer(&profile(), 0).unwrap();
    let speedscope = write_speedscope(&profile(), 0, "shop").unwrap();
    let tree = [node("", 0, 1), node("main", 3, 1), node("work", 7, 0)].concat();
    for (name, bytes, format, kind, total) in [
        ("undated.pb.gz", pprof(None), "pprof", "cpu", 1_000),
        ("just now.pb.gz", pprof(Some(0)), "pprof", "cpu", 1_000),
        ("old.pb.gz", pprof(Some(60 * 24 * 400)), "pprof", "cpu", 1_000),
        ("stacks.folded", FOLDED.as_bytes().to_vec(), "folded", "cpu", 1_000),
        ("graph.json", flamebearer, "pprof", "cpu", 1_000),
        ("scope.json", speedscope, "speedscope", "cpu", 1_000),
        ("x.cpuprofile", cpuprofile(), "pprof", "cpu", 20_000_000),
        ("x.tree", tree, "tree", "cpu", 10),
    ] {
        let (path, app) = (write(dir.path(), name, &bytes), format!("{}.of", name.replace([' ', '.'], "-")));
        let (exit, printed, errors) = flamewarden(&["push", "--app", &app, &path], server.base()).await;
        let expected = format!("{path}: sent as {format}\njudge it: flamewarden triage {app}\n");
        assert_eq!((exit, printed.as_str(), errors.as_str()), (0, expected.as_str(), ""), "{name}");
        let (status, body) = server.json(&format!("/profiles/{app}?type={kind}")).await;
        assert_eq!((status, &body["totalSamples"]), (200, &json!(total)), "{name}: {body}");
    }
    let (exit, table, _) = flamewarden(&["triage", "stacks-folded.of"], server.base()).await;
    assert!(exit == 0 && table.contains("PROBLEM: gc_pressure"), "{table}");
}

#[actix_web::test]
async fn labels_tenant_kind_and_time_are_those_of_the_command() {
    let server = Flamewarden::start().await;
    let dir = tempfile::tempdir().unwrap();
    let folded = write(dir.path(), "stacks.txt", FOLDED.as_bytes());
    let dated = write(dir.path(), "dated.pb.gz", &pprof(Some(150)));
    let of = async |app: &str, query: &str| -> Value {
        let path = format!("/profiles/{app}?{query}");
        let answer = server.get(&path).header("X-Scope-OrgID", "team-a").send().await.unwrap();
        answer.json::<Value>().await.unwrap()["totalSamples"].clone()
    };
    let (exit, _, errors) = flamewarden(
        &[
            "push",
            "--app",
            "shop",
            "--label",
            "version=2",
            "--label",
            "region=eu",
            "--tenant",
            "team-a",
            "--type",
            "alloc",
            &folded,
        ],
        server.base(),
    )
    .await;
    assert_eq!((exit, errors.as_str()), (0, ""));
    assert_eq!(of("shop", "type=alloc&selector=version%3D%222%22,region%3D%22eu%22").await, json!(1_000));
    assert_eq!(of("shop", "type=alloc&selector=version%3D%221%22").await, json!(0));
    let push = ["push", "--app", "cart", "--tenant", "team-a", &dated];
    let (exit, printed, _) = flamewarden(&push, server.base()).await;
    assert!(exit == 0 && printed.contains("dated.pb.gz: sent as pprof, taken at 20"), "{printed}");
    assert!(printed.contains("judge it: flamewarden triage cart --from 20"), "{printed}");
    assert_eq!(of("cart", "").await, json!(0), "the file's own time counts");
    assert_eq!(of("cart", "from=now-3h&to=now-2h").await, json!(1_000));
    let (exit, printed, _) = flamewarden(&[&push[..], &["--at", "now-5h"]].concat(), server.base()).await;
    assert!(exit == 0 && printed.ends_with("judge it: flamewarden triage cart --from now-5h\n"), "{printed}");
    assert_eq!(of("cart", "from=now-6h&to=now-4h").await, json!(1_000));
}

#[actix_web::test]
async fn a_file_that_cannot_be_sent_is_named_and_the_others_are_sent() {
    let server = Flamewarden::start().await;
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good.folded", FOLDED.as_bytes());
    let picture = write(dir.path(), "picture.svg", b"<svg width=\"1200\">");
    let (exit, printed, errors) =
        flamewarden(&["push", "--app", "shop", &picture, "nowhere.pb.gz", &good], server.base()).await;
    assert_eq!(exit, 3);
    assert!(errors.contains("picture.svg: this looks like an SVG picture"), "{errors}");
    assert!(errors.contains("error: nowhere.pb.gz: No such file"), "{errors}");
    assert!(printed.contains("good.folded: sent as folded"), "{printed}");
    let (_, body) = server.json("/profiles/shop").await;
    assert_eq!(body["totalSamples"], 1_000);
}

#[rstest]
#[case::no_app(&["good"], 2, "--app")]
#[case::no_file(&["--app", "shop"], 2, "<FILE>")]
#[case::no_label(&["--app", "shop", "--label", "version", "good"], 2, "KEY=VALUE")]
#[case::too_old(&["--app", "shop", "--at", "2020-01-01T00:00:00Z", "good"], 2, "good: the profile began at 2020")]
#[case::no_time(&["--app", "shop", "--at", "noon", "good"], 2, "good: ")]
#[case::nothing_in_it(&["--app", "shop", "empty"], 3, "empty")]
#[case::nobody_listens(&["--app", "shop", "good", "--server", "http://127.0.0.1:9"], 3, "http://127.0.0.1:9")]
#[actix_web::test]
async fn the_exit_code_says_what_became_of_it(#[case] arguments: &[&str], #[case] code: i32, #[case] says: &str) {
    let server = Flamewarden::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (good, empty) = (write(dir.path(), "good", FOLDED.as_bytes()), write(dir.path(), "empty", b""));
    let files = |word: &&str| match *word {
        "good" => good.clone(),
        "empty" => empty.clone(),
        word => word.to_owned(),
    };
    let words: Vec<_> = ["push"].iter().chain(arguments).map(files).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (exit, printed, errors) = flamewarden(&words, server.base()).await;
    assert_eq!(exit, code, "{printed}{errors}");
    assert!(errors.contains(says), "{errors}");
}
