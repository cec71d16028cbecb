//! What is answered, held against what a real Pyroscope answered.

use super::*;
use crate::profile::read_flamebearer;
use crate::sor::profile_data::store::{PushId, Pushed};

/// The recorded answer of version 2, as JSON.
fn recorded(name: &str) -> Value {
    serde_json::from_slice(&Recordings::of("v2").unwrap().body(name)).unwrap()
}

/// Name, self and total of every function.
fn rows(profile: &Profile) -> Vec<(String, i64, i64)> {
    let table = FunctionTable::of(profile, 0);
    table.rows().iter().map(|row| (row.name.to_owned(), row.self_ticks, row.total_ticks)).collect()
}

/// Only of the apps that are here.
fn here(values: &Value, app: impl Fn(&Value) -> bool) -> Vec<Value> {
    values.as_array().unwrap().iter().filter(|value| app(value)).cloned().collect()
}

#[actix_web::test]
async fn types_labels_and_series_are_those_of_pyroscope() {
    let Some(setup) = setup().await else { return };
    let window = json!({"start": START, "end": END});
    let (status, types) = setup.json("ProfileTypes", &window).await;
    let ids = ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space", "cpu", "samples"];
    let expected = here(&recorded("profile-types")["profileTypes"], |t| {
        ids.contains(&t["sampleType"].as_str().unwrap()) && t["ID"] != "process_cpu:samples:count::milliseconds"
    });
    assert_eq!((status, types["profileTypes"].as_array().unwrap()), (200, &expected));

    let asked = json!({"start": START, "end": END, "labelNames": ["service_name", "__profile_type__"]});
    let (_, series) = setup.json("Series", &asked).await;
    let expected = here(&recorded("series")["labelsSet"], |set| {
        ["checkout", "search"].contains(&set["labels"][1]["value"].as_str().unwrap())
    });
    assert_eq!(series["labelsSet"].as_array().unwrap(), &expected);

    let (_, names) = setup.json("LabelNames", &window).await;
    let derived = ["__name__", "__period_type__", "__period_unit__", "__profile_type__", "__type__", "__unit__"];
    assert_eq!(names["names"], json!([&derived[..], &["region", "service_name"]].concat()));

    let asked = json!({"name": "service_name", "matchers": [format!("{{__profile_type__={CPU:?}}}")], "start": START, "end": END});
    assert_eq!(setup.json("LabelValues", &asked).await, (200, json!({"names": ["checkout", "search"]})));
    let asked = json!({"name": "pod", "start": START, "end": END});
    assert_eq!(setup.json("LabelValues", &asked).await, (200, json!({})));
    // The clock stands at half past one: the last profiles came at one.
    let (_, types) = setup.json("ProfileTypes", &json!({})).await;
    assert_eq!(types["profileTypes"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn a_merged_profile_holds_every_function() {
    let Some(setup) = setup().await else { return };
    let theirs = read_pprof(&Recordings::of("v2").unwrap().body("merge-checkout-cpu"), &ReadLimits::default()).unwrap();
    let asked = messages::SelectMergeProfileRequest {
        profile_type_id: CPU.into(),
        label_selector: CHECKOUT.into(),
        start: START,
        end: END,
        ..Default::default()
    };
    let ours: google::v1::Profile = setup.proto("SelectMergeProfile", &asked).await;
    let profile = read_pprof(&ours.encode_to_vec(), &ReadLimits::default()).unwrap();
    assert_eq!(rows(&profile.profile), rows(&theirs.profile));
    assert_eq!(profile.profile.sample_types(), [SampleType::new("cpu", "nanoseconds")]);
    // In JSON it is the same message.
    let (status, json) = setup.json("SelectMergeProfile", &asking(CHECKOUT)).await;
    assert_eq!((status, serde_json::from_value::<google::v1::Profile>(json.clone()).unwrap()), (200, ours));
    assert!(json["sample"][0]["locationId"][0].is_string(), "64-bit integers are texts");
    // Truncated, it keeps its total.
    let few = messages::SelectMergeProfileRequest { max_nodes: Some(16), ..asked.clone() };
    let few: google::v1::Profile = setup.proto("SelectMergeProfile", &few).await;
    let few = read_pprof(&few.encode_to_vec(), &ReadLimits::default()).unwrap().profile;
    let theirs = read_pprof(&Recordings::of("v2").unwrap().body("merge-maxnodes-16"), &ReadLimits::default()).unwrap();
    assert_eq!((few.total(0), few.total(0)), (profile.profile.total(0), theirs.profile.total(0)));
    assert!(few.function_ids().any(|id| few.function(id) == ("other", "")) && few.function_count() < 40);
    // Nothing is an empty message.
    let nobody = messages::SelectMergeProfileRequest { label_selector: r#"{service_name="nobody"}"#.into(), ..asked };
    let nothing: google::v1::Profile = setup.proto("SelectMergeProfile", &nobody).await;
    assert_eq!(nothing, google::v1::Profile::default());
}

/// A flame graph as the document that readers take.
fn drawn(graph: &Value, format: &str) -> Vec<u8> {
    let numbers = |level: &Value| -> Vec<i64> {
        level["values"].as_array().unwrap().iter().map(|n| n.as_str().unwrap().parse().unwrap()).collect()
    };
    let levels: Vec<_> = graph["levels"].as_array().unwrap().iter().map(numbers).collect();
    let metadata = json!({"format": format, "name": "cpu", "units": "samples", "sampleRate": 1_000_000_000});
    json!({"flamebearer": {"names": graph["names"], "levels": levels}, "metadata": metadata}).to_string().into_bytes()
}

#[rstest]
#[case("stacktraces-json", None)]
#[case("stacktraces-json-maxnodes-16", Some(16))]
#[actix_web::test]
async fn a_flame_graph_is_that_of_pyroscope(#[case] name: &str, #[case] nodes: Option<i64>) {
    let Some(setup) = setup().await else { return };
    let mut asked = asking(CHECKOUT);
    asked["maxNodes"] = json!(nodes);
    let (status, ours) = setup.json("SelectMergeStacktraces", &asked).await;
    let (ours, theirs) = (&ours["flamegraph"], &recorded(name)["flamegraph"]);
    assert_eq!((status, &ours["total"], &ours["maxSelf"]), (200, &theirs["total"], &theirs["maxSelf"]));
    let read = |graph| rows(&read_flamebearer(&drawn(graph, "single"), &ReadLimits::default()).unwrap().profile);
    assert_eq!(read(ours), read(theirs));
}

#[actix_web::test]
async fn a_flame_graph_of_nothing_is_a_root() {
    let Some(setup) = setup().await else { return };
    let nobody = asking(r#"{service_name="nobody"}"#);
    assert_eq!(setup.json("SelectMergeStacktraces", &nobody).await, (200, recorded("stacktraces-empty")));
    let (_, diff) = setup.json("Diff", &json!({"left": nobody, "right": nobody})).await;
    let levels = json!([{"values": ["0", "0", "0", "0", "0", "0", "0"]}]);
    assert_eq!(diff, json!({"flamegraph": {"names": ["total"], "levels": levels}}));
}

#[actix_web::test]
async fn a_flame_graph_may_be_a_pprof() {
    let Some(setup) = setup().await else { return };
    let mut asked = asking(CHECKOUT);
    asked["format"] = json!("PROFILE_FORMAT_PPROF");
    let (_, pprof) = setup.json("SelectMergeStacktraces", &asked).await;
    let (_, merged) = setup.json("SelectMergeProfile", &asking(CHECKOUT)).await;
    assert_eq!(pprof, json!({"pprof": {"profile": merged}}));
}

#[actix_web::test]
async fn a_diff_is_that_of_pyroscope() {
    let Some(setup) = setup().await else { return };
    let mut later = asking(CHECKOUT);
    (later["start"], later["end"]) = (json!(START + 3_600_000), json!(END + 3_600_000));
    let (status, ours) = setup.json("Diff", &json!({"left": asking(CHECKOUT), "right": later})).await;
    let (ours, theirs) = (&ours["flamegraph"], &recorded("diff-json")["flamegraph"]);
    for name in ["total", "maxSelf", "leftTicks", "rightTicks"] {
        assert_eq!((status, &ours[name]), (200, &theirs[name]), "{name}");
    }
    let read = |graph| {
        let file = read_flamebearer(&drawn(graph, "double"), &ReadLimits::default()).unwrap();
        (rows(&file.profile), rows(&file.baseline.unwrap().profile))
    };
    assert_eq!(read(ours), read(theirs));
}

#[actix_web::test]
async fn totals_over_time_are_those_of_pyroscope() {
    let Some(setup) = setup().await else { return };
    let mut asked = asking(CHECKOUT);
    (asked["step"], asked["groupBy"]) = (json!(15), json!(["region"]));
    let (status, mut ours) = setup.json("SelectSeries", &asked).await;
    // A double is 500000000.0 here and 500000000 there.
    for point in ours["series"][0]["points"].as_array_mut().unwrap() {
        assert_eq!(point["value"].as_f64(), Some(500_000_000.0));
        point["value"] = json!(500_000_000);
    }
    assert_eq!((status, ours), (200, recorded("select-series")));
    // All apps in one step, those with most first.
    (asked["labelSelector"], asked["step"], asked["groupBy"]) = (json!("{}"), json!(3_600), json!(["service_name"]));
    let both = setup.json("SelectSeries", &asked).await.1;
    assert_eq!(both["series"].as_array().unwrap().len(), 2);
    asked["limit"] = json!("1");
    let most = setup.json("SelectSeries", &asked).await.1;
    assert_eq!(most["series"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn older_routes_answer_as_pyroscope_does() {
    let Some(setup) = setup().await else { return };
    let query = format!("{CPU}{CHECKOUT}");
    let (from, until) = (START.to_string(), END.to_string());
    let (status, mut ours) =
        setup.get("/pyroscope/render", &[("query", &query), ("from", &from), ("until", &until)]).await;
    let mut theirs = recorded("render");
    let read = |document: &mut Value| {
        let bytes = document.to_string().into_bytes();
        let of_graph = document.as_object_mut().unwrap().remove("flamebearer").unwrap();
        let profile = read_flamebearer(&bytes, &ReadLimits::default()).unwrap().profile;
        (rows(&profile), of_graph["numTicks"].clone(), of_graph["maxSelf"].clone())
    };
    assert_eq!((status, read(&mut ours)), (200, read(&mut theirs)));
    assert_eq!(ours, theirs, "all but the flame graph is the same, the timeline too");

    let of_region = [("query", query.as_str()), ("from", &from), ("until", &until), ("groupBy", "region")];
    let (_, grouped) = setup.get("/pyroscope/render", &of_region).await;
    assert_eq!(grouped["groups"]["eu"], grouped["timeline"]);

    let (later_from, later_until) = ((START + 3_600_000).to_string(), (END + 3_600_000).to_string());
    let params = [
        ("leftQuery", query.as_str()),
        ("leftFrom", &from),
        ("leftUntil", &until),
        ("rightQuery", &query),
        ("rightFrom", &later_from),
        ("rightUntil", &later_until),
    ];
    let (status, mut ours) = setup.get("/pyroscope/render-diff", &params).await;
    let mut theirs = recorded("render-diff");
    assert_eq!((status, read(&mut ours)), (200, read(&mut theirs)));
    assert_eq!(ours, theirs);

    let empty = [
        ("query", r#"process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name="nobody"}"#),
        ("from", &from),
        ("until", &until),
    ];
    assert_eq!(setup.get("/pyroscope/render", &empty).await, (200, recorded("render-empty")));
    assert_eq!(setup.get("/pyroscope/label-values", &[("label", "service_name")]).await, (200, json!(["checkout"])));
    let (_, types) = setup.get("/pyroscope/label-values", &[("label", "__name__")]).await;
    assert_eq!(types, json!([CPU]));
}

/// A profile of one stack at the time of the recordings.
fn pushed(tenant: &str, app: &str, labels: &[(&str, &str)], second: i64) -> Pushed {
    let profile = read_folded(b"main;work 10", SampleType::new("cpu", "nanoseconds"), &ReadLimits::default()).unwrap();
    Pushed {
        tenant: tenant.parse().unwrap(),
        app: app.parse().unwrap(),
        name: "process_cpu".into(),
        labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        sample_types: profile.sample_types().to_vec(),
        profile,
        period_type: Some(SampleType::new("cpu", "nanoseconds")),
        period: 1,
        time: chrono::DateTime::from_timestamp(START / 1_000 + second, 0).unwrap(),
        duration: chrono::TimeDelta::seconds(10),
        id: PushId::of([tenant.as_bytes(), app.as_bytes(), &second.to_le_bytes()]),
    }
}

#[actix_web::test]
async fn tenants_see_their_own_and_dotted_labels_are_told_to_who_reads_them() {
    let Some(setup) = setup().await else { return };
    setup.store.push(vec![pushed("team-a", "theirs", &[("otel.scope.name", "go")], 60)]).await.unwrap();
    let send = async |method: &str, headers: &[(&str, &str)], message: Value| {
        let request = TestRequest::post().uri(&path(method)).set_json(message);
        let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
        let (status, _, body) = setup.send(request).await;
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let asked = json!({"name": "service_name", "start": START, "end": END});
    let of_team = [("x-scope-orgid", "team-a")];
    assert_eq!(send("LabelValues", &of_team, asked.clone()).await.1, json!({"names": ["theirs"]}));
    assert_eq!(send("LabelValues", &[], asked).await.1, json!({"names": ["checkout", "search"]}));
    let merged = send("SelectMergeStacktraces", &of_team, asking("{}")).await.1;
    assert_eq!(merged["flamegraph"]["names"], json!(["total", "main", "work"]));

    let window = json!({"start": START, "end": END});
    let names = send("LabelNames", &of_team, window.clone()).await.1["names"].clone();
    assert!(!names.as_array().unwrap().contains(&json!("otel.scope.name")), "{names}");
    let all = [of_team[0], ("accept", "*/*; allow-utf8-labelnames=true")];
    let names = send("LabelNames", &all, window).await.1["names"].clone();
    assert!(names.as_array().unwrap().contains(&json!("otel.scope.name")), "{names}");
    let (status, error) = send("LabelNames", &[("x-scope-orgid", "a|b")], json!({})).await;
    assert_eq!((status, &error["code"]), (400, &json!("invalid_argument")));
}

#[actix_web::test]
async fn a_point_stands_at_the_end_of_its_step_and_sums_lose_nothing() {
    let Some(setup) = setup().await else { return };
    let of_second = |second| pushed("team-b", "app", &[], second);
    setup.store.push([0, 1, 15, 16, 119].map(of_second).to_vec()).await.unwrap();
    let mut asked = asking("{}");
    (asked["end"], asked["step"]) = (json!(START + 119_500), json!(15.0));
    let request = TestRequest::post().uri(&path("SelectSeries")).insert_header(("x-scope-orgid", "team-b"));
    let (_, _, body) = setup.send(request.set_json(&asked)).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let points = answer["series"][0]["points"].as_array().unwrap();
    let read = |point: &Value| {
        let at: i64 = point["timestamp"].as_str().unwrap().parse().unwrap();
        ((at - START) / 1_000, point["value"].as_f64().unwrap() as i64)
    };
    // The last step that is whole ends at 105 s.
    assert_eq!(points.iter().map(read).collect::<Vec<_>>(), [(0, 10), (15, 20), (30, 10), (105, 10)]);
}

#[actix_web::test]
async fn values_that_only_grow_are_told_by_their_growth() {
    let Some(setup) = setup().await else { return };
    let grown = |(second, value): (i64, i64)| {
        let folded = format!("main;work {value}");
        let bytes = SampleType::new("alloc_space", "bytes");
        let profile = read_folded(folded.as_bytes(), bytes.clone(), &ReadLimits::default()).unwrap();
        let labels = [("__delta__".to_owned(), "false".to_owned())].into();
        Pushed {
            name: "memory".into(),
            sample_types: vec![bytes],
            profile,
            labels,
            ..pushed("team-c", "app", &[], second)
        }
    };
    setup.store.push([(0, 100), (15, 150), (30, 20), (45, 70)].map(grown).to_vec()).await.unwrap();
    let mut asked = asking("{}");
    (asked["profileTypeID"], asked["step"]) = (json!("memory:alloc_space:bytes:cpu:nanoseconds"), json!(15.0));
    let send = async |method: &str| {
        let request = TestRequest::post().uri(&path(method)).insert_header(("x-scope-orgid", "team-c"));
        serde_json::from_slice::<Value>(&setup.send(request.set_json(&asked)).await.2).unwrap()
    };
    let answer = send("SelectSeries").await;
    let values: Vec<_> =
        answer["series"][0]["points"].as_array().unwrap().iter().map(|p| p["value"].as_f64()).collect();
    assert_eq!(values, [Some(50.0), Some(20.0), Some(50.0)]);
    assert_eq!(send("SelectMergeStacktraces").await["flamegraph"]["total"], "120");
}

#[actix_web::test]
async fn hours_kept_as_rollups_only_have_one_total_each() {
    use crate::sor::profile_data::store::tests::rollups::ten_days_ago;
    let (store, _database, clock) = ten_days_ago().await;
    let querier = Querier::new(store, clock.clone());
    let request = TestRequest::default().to_http_request();
    let asker = Asker::of(&request).await.unwrap();
    let start = clock.now() - chrono::TimeDelta::days(10) - chrono::TimeDelta::hours(4);
    let (start, end) = (start.timestamp_millis(), clock.now().timestamp_millis());
    let types = querier.profile_types(&asker, messages::ProfileTypesRequest { start, end }).await.unwrap();
    assert!(!types.profile_types.is_empty());
    for kept in types.profile_types.iter().filter(|kept| kept.name != "memory" && kept.name != "mutex") {
        let asked = messages::SelectSeriesRequest {
            profile_type_id: kept.id.clone(),
            label_selector: "{}".into(),
            start,
            end,
            step: 3_600.0,
            ..Default::default()
        };
        let totals = querier.select_series(&asker, asked).await.unwrap();
        let sum: f64 = totals.series.iter().flat_map(|series| &series.points).map(|point| point.value).sum();
        let asked = messages::SelectMergeStacktracesRequest {
            profile_type_id: kept.id.clone(),
            label_selector: "{}".into(),
            start,
            end,
            ..Default::default()
        };
        let merged = querier.merge_stacktraces(&asker, asked).await.unwrap().flamegraph.unwrap();
        assert!(sum > 0.0);
        assert_eq!(sum, merged.total as f64, "{}", kept.id);
    }
}
