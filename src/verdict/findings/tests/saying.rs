//! What a finding says beside its share: what it could save, and where to look.

use super::*;
use crate::profile::{ReadLimits, read_folded};
use crate::verdict::findings::{AtMost, Site};

const WORK: &str = "main.main;main.serve;main.cart;encoding/json.Encode";

#[test]
fn what_a_finding_could_save_is_its_share_with_all_that_runs_beneath() {
    let a = cpu(&[(WORK, 2_000), (&format!("{WORK};runtime.alloc"), 1_000), ("main.main;main.work", 7_000)]);
    let of = |category| a.finding(category).unwrap().at_most.unwrap();
    assert_eq!(of(Category::Serialization), AtMost { percent_of_app: 30.0, cores: Some(0.3) });
    assert_eq!(of(Category::Allocation), AtMost { percent_of_app: 10.0, cores: Some(0.1) });
}

#[test]
fn a_finding_could_save_a_share_where_cores_are_unknown_and_nothing_where_no_processor_is_measured() {
    let stacks = [(WORK, 3_000), ("main.main;main.work", 7_000)];
    let counted = assess_with(ProfileType::Cpu, "count", &stacks, SourceFacts::default());
    let at_most = counted.finding(Category::Serialization).unwrap().at_most;
    assert_eq!(at_most, Some(AtMost { percent_of_app: 30.0, cores: None }));
    for (kind, unit) in
        [(ProfileType::Alloc, "bytes"), (ProfileType::Lock, "nanoseconds"), (ProfileType::Wall, "nanoseconds")]
    {
        let a = assess_with(kind, unit, &stacks, SourceFacts::default());
        assert!(a.findings.iter().all(|finding| finding.at_most.is_none()), "{kind}");
    }
}

/// The sites of the serialization in a cpu profile.
fn sites(stacks: &[(&str, i64)]) -> Vec<Site> {
    cpu(stacks).finding(Category::Serialization).unwrap().sites.clone()
}

#[test]
fn names_the_five_heaviest_frames_of_the_application_with_their_share_of_the_finding() {
    let stacks = [
        ("main.main;main.serve;lib.Route;main.cart;encoding/json.Encode;runtime.f", 600),
        ("main.main;main.serve;lib.Route;main.pay;main.sum;encoding/json.Encode", 300),
        ("main.main;main.serve;main.a;main.b;main.a;encoding/json.Encode", 100),
        ("main.main;main.other", 9_000),
    ];
    let named: Vec<_> = sites(&stacks).into_iter().map(|site| (site.function, site.percent)).collect();
    let expected =
        [("main.serve", 100.0), ("main.cart", 60.0), ("main.sum", 30.0), ("main.pay", 30.0), ("main.a", 10.0)];
    assert_eq!(named, expected.map(|(function, percent)| (function.to_owned(), percent)));
}

#[test]
fn only_the_applications_own_functions_are_sites() {
    let named = |stack: &str| sites(&[(stack, 1_000)]).into_iter().map(|site| site.function).collect::<Vec<_>>();
    assert_eq!(named("main.main;main.run;lib.Loop;encoding/json.Encode"), ["main.run"]);
    assert_eq!(named("lib.Loop;encoding/json.Encode"), [""; 0]);
}

#[test]
fn a_site_has_the_file_and_line_of_the_profile() {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let [encode, cart, pay] = ["encoding/json.Encode", "main.cart", "main.pay"].map(|name| {
        let file = if name == "main.pay" { "" } else { "/src/cart.go" };
        builder.function(name, file)
    });
    builder.line(cart, 48);
    builder.add([encode, cart], &[6_000_000_000]);
    builder.add([encode, pay], &[4_000_000_000]);
    let profile = builder.build();
    let subject = Subject {
        kind: ProfileType::Cpu,
        profile: &profile,
        sample_type: 0,
        time: None,
        facts: SourceFacts::default(),
        top: 1,
    };
    let a = ProfileAssessment::of(&RULES, &subject);
    let site = |function: &str, percent, file: Option<&str>, line| Site {
        function: function.to_owned(),
        percent,
        file: file.map(str::to_owned),
        line,
    };
    assert_eq!(
        a.finding(Category::Serialization).unwrap().sites,
        [site("main.cart", 60.0, Some("/src/cart.go"), Some(48)), site("main.pay", 40.0, None, None)]
    );
}

/// The causes of a finding: id, percent, and who leads to it.
fn causes(a: &ProfileAssessment, category: Category) -> Vec<(String, f64, Option<String>)> {
    let causes = a.finding(category).unwrap().causes.iter();
    causes.map(|share| (share.cause.id.to_string(), share.percent, share.responsible.clone())).collect()
}

fn told(causes: &[(&str, f64, &str)]) -> Vec<(String, f64, Option<String>)> {
    causes.iter().map(|(id, percent, by)| ((*id).to_owned(), *percent, Some((*by).to_owned()))).collect()
}

/// A cpu profile judged by the rules that are compiled in.
fn judged(stacks: &[(&str, i64)]) -> ProfileAssessment {
    judged_profile(&profile("nanoseconds", stacks))
}

pub(super) fn judged_profile(profile: &Profile) -> ProfileAssessment {
    let (kind, facts) = (ProfileType::Cpu, SourceFacts::default());
    ProfileAssessment::of(&Rules::builtin(), &Subject { kind, profile, sample_type: 0, time: None, facts, top: 1 })
}

#[test]
fn says_what_a_categorys_ticks_come_from_largest_first_and_who_leads_there() {
    let a = judged(&[
        ("main.main;main.login;golang.org/x/crypto/bcrypt.bcrypt", 1_000),
        ("main.main;main.seal;crypto/internal/fips140/aes/gcm.seal", 2_000),
        ("main.main;main.sum;crypto/sha256.block", 100),
        ("main.main;main.work", 6_900),
    ]);
    assert_eq!(
        causes(&a, Category::Crypto),
        told(&[("encryption", 20.0, "main.seal"), ("password_hash", 10.0, "main.login")]),
        "digests are under 5 % of it"
    );
}

#[test]
fn a_handshake_explains_the_signing_beneath_it() {
    let a = judged(&[
        ("main.main;main.call;crypto/tls.(*Conn).HandshakeContext;crypto/ecdsa.verify", 3_000),
        ("main.main;main.sign;crypto/ecdsa.signAsm", 1_000),
        ("main.main;main.work", 6_000),
    ]);
    assert_eq!(causes(&a, Category::Crypto), told(&[("handshake", 30.0, "main.call"), ("signing", 10.0, "main.sign")]));
    let text = &a.finding(Category::Crypto).unwrap().recommendation;
    assert!(
        text.starts_with(
            "TLS handshakes are 30 % of the CPU time. Keep connections open or resume sessions in main.call"
        ),
        "{text}"
    );
}

#[test]
fn no_cause_decides_the_advice_that_is_less_than_half_of_the_category() {
    let a = judged(&[
        ("main.main;main.read;encoding/json.Unmarshal", 1_000),
        ("main.main;main.write;encoding/json.Marshal", 900),
        ("main.main;main.send;google.golang.org/protobuf/proto.Marshal", 1_100),
        ("main.main;main.work", 7_000),
    ]);
    let finding = a.finding(Category::Serialization).unwrap();
    assert_eq!(
        finding.recommendation,
        "Encoding and decoding takes 30 % of the CPU time. Do less of it in main.send (37 % of it) and main.read (33 %). \
         The heaviest function of it is google.golang.org/protobuf/proto.Marshal (11.0 %). Known parts of it: writing \
         Protocol Buffers 11 %, reading JSON 10 %, writing JSON 9 %."
    );
}

#[test]
fn marking_by_idle_processors_is_told_and_advises_nothing() {
    let a = judged(&[
        ("runtime.gcBgMarkWorker;runtime.gcDrainMarkWorkerIdle;runtime.gcDrain", 4_000),
        ("runtime.gcBgMarkWorker;runtime.gcDrain;runtime.scanobject", 2_500),
        ("main.main;main.work", 3_500),
    ]);
    let finding = a.finding(Category::GcPressure).unwrap();
    let causes: Vec<_> = finding.causes.iter().map(|share| (&*share.cause.id, share.percent)).collect();
    assert_eq!(causes, [("gc_idle_mark", 40.0), ("gc_mark", 25.0)]);
    assert!(
        finding.recommendation.starts_with("The collector takes 25 % of the CPU time"),
        "{}",
        finding.recommendation
    );
}

#[rstest]
#[case::in_the_kernel("tar;system_call_fastpath;sys_newfstatat;user_path_at;do_path_lookup;path_lookupat", &[])]
#[case::before_the_kernel("tar;dump_file;fstatat;system_call_fastpath;do_path_lookup;path_lookupat", &["dump_file"])]
fn nothing_that_runs_beneath_a_system_call_is_a_place_to_start_at(#[case] stack: &str, #[case] expected: &[&str]) {
    let folded = format!("{stack} 6000000000\ntar;dump_file;checksum 4000000000\n");
    let cpu = SampleType::new("cpu", "nanoseconds");
    let a = judged_profile(&read_folded(folded.as_bytes(), cpu, &ReadLimits::default()).unwrap());
    let finding = a.finding(Category::DiskIo).unwrap();
    let named: Vec<_> = finding.responsible.iter().map(|r| r.function.as_str()).collect();
    assert_eq!(named, expected);
}

#[test]
fn a_profiler_that_takes_most_of_the_time_leaves_nothing_to_judge() {
    let a = judged(&[("main.main;runtime/pprof.Do", 6_000), ("main.main;main.call;encoding/json.Unmarshal", 4_000)]);
    assert_eq!(a.diagnosis.ground, Ground::Insufficient);
    assert_eq!(a.quality[0].code, QualityCode::MostlyProfiler);
    assert_eq!(
        summary_of(&a).headline,
        "Most samples of checkout are the profiler's own: they say too little of checkout for a verdict."
    );
    assert!(a.diagnosis.recommendation.starts_with("60 % of the samples are the profiler's own work"));
}

#[test]
fn causes_of_a_purpose_are_those_of_all_that_runs_beneath_it() {
    let a = judged(&[
        ("main.main;main.list;database/sql.(*DB).Prepare;crypto/sha256.block", 200),
        ("main.main;main.list;database/sql.(*Rows).Next;syscall.Pread;runtime/internal/syscall.Syscall6", 5_000),
        ("main.main;main.list;database/sql.(*Rows).Next", 900),
        ("main.main;main.work", 3_900),
    ]);
    assert_eq!(a.diagnosis.ground, Ground::Finding(Category::Database));
    assert_eq!(causes(&a, Category::Database), told(&[("db_fetch", 59.0, "main.list")]));
    assert_eq!(a.diagnosis.responsible[0].percent, 100.0);
}

#[test]
fn causes_of_a_purpose_that_leads_by_itself_hold_what_runs_beneath_and_those_of_a_mechanism_do_not() {
    let a = judged(&[
        ("main.main;main.feed;encoding/xml.(*Encoder).Encode", 3_000),
        ("main.main;main.feed;encoding/xml.(*Encoder).Encode;runtime.mallocgc;runtime.nextFreeFast", 2_000),
        ("main.main;main.feed;encoding/xml.(*Encoder).Encode;runtime.mallocgc;runtime.memclrNoHeapPointers", 1_000),
        ("main.main;main.work", 4_000),
    ]);
    assert_eq!(a.finding(Category::Serialization).unwrap().share.percent, 30.0);
    assert_eq!(causes(&a, Category::Serialization), told(&[("xml_encode", 60.0, "main.feed")]));
    assert_eq!(causes(&a, Category::Allocation), told(&[("small_allocation", 20.0, "main.feed")]));
    assert!(a.diagnosis.recommendation.starts_with("Writing XML is 60 % of the CPU time."));
    let headline = summary_of(&a).headline;
    assert!(headline.contains("Serialization is 30 %"), "{headline}");
    assert!(headline.contains(", 60 % with all it calls, most of it under main.feed;"), "{headline}");
}

#[test]
fn a_frame_that_tells_no_cause_has_that_of_its_caller_up_to_the_applications_code() {
    let a = judged(&[
        ("main.main;main.read;encoding/json.Unmarshal;encoding/json.helper", 2_000),
        ("main.main;encoding/json.Marshal;main.render;encoding/json.helper", 1_000),
        ("main.main;main.work", 7_000),
    ]);
    assert_eq!(a.finding(Category::Serialization).unwrap().share.percent, 30.0);
    assert_eq!(causes(&a, Category::Serialization), told(&[("json_decode", 20.0, "main.read")]));
}

#[test]
fn a_collector_that_nobody_calls_sends_to_who_calls_the_allocator() {
    let a = judged(&[
        ("runtime.gcBgMarkWorker;runtime.gcDrain;runtime.scanobject", 3_000),
        ("main.main;main.cart;runtime.mallocgc", 900),
        ("main.main;main.work", 6_100),
    ]);
    let finding = a.finding(Category::GcPressure).unwrap();
    assert!(
        finding.recommendation.contains("what is allocated in main.cart (100 % of the allocator's time)"),
        "{}",
        finding.recommendation
    );
}

#[test]
fn growing_collections_explain_the_allocations_beneath_them() {
    let a = judged(&[
        ("main.main;main.fill;runtime.growslice;runtime.mallocgc", 2_000),
        ("main.main;main.fill;runtime.growslice", 600),
        ("main.main;main.work", 7_400),
    ]);
    assert_eq!(a.diagnosis.name, "collection_resizing");
    assert_eq!(a.diagnosis.mechanism.map(|(category, _)| category), Some(Category::Allocation));
}

#[test]
fn a_function_that_hands_over_to_other_code_is_not_the_heaviest() {
    let a = judged(&[
        ("main.main;main.encode;runtime.cgocall", 3_000),
        ("main.main;main.resize", 2_000),
        ("main.main;main.crop", 1_900),
    ]);
    assert_eq!(a.diagnosis.function.as_deref(), Some("main.resize"));
}

#[test]
fn without_anybody_responsible_the_category_is_entered_by_its_outermost_function() {
    let stack = "system_call_fastpath;vfs_fstatat;path_lookupat;__d_lookup_rcu";
    let folded = format!("{stack} 6000000000\nmain;checksum 4000000000\n");
    let cpu = SampleType::new("cpu", "nanoseconds");
    let a = judged_profile(&read_folded(folded.as_bytes(), cpu, &ReadLimits::default()).unwrap());
    let finding = a.finding(Category::DiskIo).unwrap();
    assert_eq!(finding.entry.as_ref().map(|e| (e.function.as_str(), e.percent)), Some(("vfs_fstatat", 60.0)));
    assert!(finding.recommendation.contains("the callers of vfs_fstatat (60.0 %)"), "{}", finding.recommendation);
}

#[test]
fn marking_by_spare_processors_is_told_apart_from_the_parts() {
    let a = judged(&[
        ("runtime.gcBgMarkWorker;runtime.gcDrainMarkWorkerIdle;runtime.gcDrain", 4_000),
        ("runtime.gcBgMarkWorker;runtime.gcDrain;runtime.scanobject", 2_500),
        ("main.main;main.work", 3_500),
    ]);
    let text = &a.finding(Category::GcPressure).unwrap().recommendation;
    assert!(text.contains("Known parts of it: marking what is still in use 25 %."), "{text}");
    assert!(text.ends_with("Processors without other work mark for another 40 %, which delays nobody."), "{text}");
}

#[rstest]
#[case::work_takes_longer(5_000, false)]
#[case::waiting_takes_longer(2_000, true)]
fn waiting_gives_way_to_work_that_takes_longer(#[case] work: i64, #[case] waits: bool) {
    let wait = "java/util/concurrent/CompletableFuture.get;java/util/concurrent/locks/LockSupport.park;jdk/internal/misc/Unsafe.park";
    let a = assess_builtin_wall(&[
        (format!("com/x/Main.main;com/x/Cart.load;{wait}"), 2_000),
        (format!("com/x/Main.main;com/x/Cart.pay;{wait}"), 1_000),
        ("com/x/Main.main;com/x/Cart.total".to_owned(), work / 2),
        ("com/x/Main.main;com/x/Cart.tax".to_owned(), work / 2),
    ]);
    assert_eq!(a.diagnosis.name == "thread_waiting", waits, "{}", a.diagnosis.name);
}

fn assess_builtin_wall(stacks: &[(String, i64)]) -> ProfileAssessment {
    let folded: String = stacks.iter().map(|(stack, n)| format!("{stack} {}\n", n * 10_000_000)).collect();
    let wall = SampleType::new("wall", "nanoseconds");
    let profile = &read_folded(folded.as_bytes(), wall, &ReadLimits::default()).unwrap();
    let (kind, facts) = (ProfileType::Wall, SourceFacts::default());
    ProfileAssessment::of(&Rules::builtin(), &Subject { kind, profile, sample_type: 0, time: None, facts, top: 1 })
}

/// `dotnet-trace` ends every stack with where the time went.
#[test]
fn the_time_of_a_marker_is_that_of_the_function_above_it() {
    let a = cpu(&[("Shop.Cart.Total;CPU_TIME", 9_000), ("Shop.Cart.Pay;UNMANAGED_CODE_TIME", 1_000)]);
    let heaviest = a.diagnosis.function.as_deref();
    assert_eq!(heaviest, Some("Shop.Cart.Total"), "{}", a.diagnosis.recommendation);
    assert!(!a.diagnosis.recommendation.contains("_TIME"), "{}", a.diagnosis.recommendation);
}
