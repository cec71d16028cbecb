//! `flamewarden hotspots` and `flamewarden search` as a user runs them: whole processes and a live server.

use rstest::rstest;
use serde_json::Value;

use crate::api::fleet::{collecting, fleet};
use crate::cli::flamewarden;
use crate::harness::Flamewarden;

#[actix_web::test]
async fn hotspots_are_a_table_that_a_person_can_read() {
    let server = fleet().await;
    collecting("tiny", 50).ingest(&server).await;
    let (exit, table, errors) =
        flamewarden(&["hotspots", "--apps", "cart,checkout,search,nobody"], server.base()).await;
    assert_eq!((exit, errors.as_str()), (0, ""), "{table}");
    for line in [
        "cpu of 3 apps, 3 with data  ",
        "    270.00         3   90.00%  ",
        "shop.Price.sum\n",
        "cart 90.00%, search 70.00%, checkout 40.00% (payments, critical)\n",
        "gc_pressure          runtime.scanobject\n",
        "note: nobody could not be read: no profiles of the app \"nobody\" are known",
    ] {
        assert!(table.contains(line), "{line:?} is not in\n{table}");
    }
    let (_, table, _) = flamewarden(&["hotspots", "--limit", "1", "--sort", "cores"], server.base()).await;
    assert!(table.contains("cpu of 4 apps") && table.contains(", and 1 more\n"), "{table}");
}

#[actix_web::test]
async fn a_search_is_a_table_that_a_person_can_read() {
    let server = fleet().await;
    let (exit, table, errors) = flamewarden(&["search", "scan", "--limit", "2"], server.base()).await;
    assert_eq!((exit, errors.as_str()), (0, ""), "{table}");
    for line in [
        "3 matches of \"scan\"\n",
        "    60.00%    60.00%  checkout                 runtime.scanobject (payments, critical, #oncall)\n",
        "    30.00%    30.00%  search                   runtime.scanobject\n  and 1 more\n",
    ] {
        assert!(table.contains(line), "{line:?} is not in\n{table}");
    }
}

#[actix_web::test]
async fn with_json_the_servers_answer_is_printed_as_it_came() {
    let server = fleet().await;
    for (path, command) in [("/search?function=scan&", vec!["search", "scan"]), ("/fleet/hotspots?", vec!["hotspots"])]
    {
        let (_, answer) = server.json(&format!("{path}from=now-2h&to=now&limit=2&apps=cart,checkout")).await;
        let window = [answer["from"].to_string(), answer["to"].to_string()];
        let more = ["--json", "--limit", "2", "--apps", "cart,checkout", "--from", &window[0], "--to", &window[1]];
        let (exit, printed, _) = flamewarden(&[&command[..], &more[..]].concat(), server.base()).await;
        assert_eq!((exit, serde_json::from_str::<Value>(&printed).unwrap()), (0, answer));
    }
}

#[rstest]
#[case::no_match(&["search", "nothing"], 0, "")]
#[case::no_data(&["search", "scan", "--from", "now-5h", "--to", "now-4h"], 3, "")]
#[case::no_hotspots(&["hotspots", "--from", "now-5h", "--to", "now-4h"], 3, "")]
#[case::unknown_apps(&["hotspots", "--apps", "nobody"], 3, "")]
#[case::no_function(&["search"], 2, "<FUNCTION>")]
#[case::blank_function(&["search", " "], 2, "must not be empty")]
#[case::unknown_type(&["hotspots", "--type", "disk"], 2, "goroutine")]
#[case::unknown_category(&["hotspots", "--exclude", "waste"], 2, "gc_pressure")]
#[case::unknown_order(&["hotspots", "--sort", "name"], 2, "cores")]
#[case::bad_window(&["search", "x", "--from", "now", "--to", "now-1h"], 2, "before")]
#[case::nobody_listens(&["hotspots", "--server", "http://127.0.0.1:9"], 3, "http://127.0.0.1:9")]
#[actix_web::test]
async fn the_exit_code_says_what_became_of_it(#[case] arguments: &[&str], #[case] code: i32, #[case] says: &str) {
    let server = Flamewarden::start().await;
    collecting("shop", 100).ingest(&server).await;
    let (exit, printed, errors) = flamewarden(arguments, server.base()).await;
    assert_eq!(exit, code, "{printed}{errors}");
    assert!(errors.contains(says), "{errors}");
}
