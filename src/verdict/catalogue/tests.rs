mod causes;

use super::*;
use crate::kernel::ProfileType;
use crate::verdict::category::{Category, Runtime};
use crate::verdict::names::Frame;
use rstest::rstest;

fn category(name: &str) -> Option<Category> {
    Rules::builtin().explain(name, "").category
}

/// Names that hold a telling substring and mean something else, and names that mean it.
#[rstest]
#[case::c1(Category::JitOverhead, &["main.run.func1", "main.run.func2", "libjvm.so.compiledVFrame::sender"], &["libjvm.so.C2Compiler::compile_method", "Compilation::compile_java_method()"])]
#[case::sha(Category::Crypto, &["encoding/json.Unmarshal", "slices.Sort[go.shape.string]", "github.com/x/store.(*Sharded).Get", "/home/sasha.run"], &["crypto/sha256.block", "sha256_block_data_order", "stub sha256_implCompressMB"])]
#[case::connect(Category::NetworkIo, &["connectrpc.com/connect.(*protocolGRPC).NewHandler", "com/x/ServerConnection.getName", "com/x/Pool.disconnectAll"], &["net.(*netFD).connect", "tcp_v4_connect_[k]"])]
#[case::fault(Category::PageFaults, &["com/x/Settings.defaultValue", "main.defaultHandler", "net/http.init.defaultTransport"], &["asm_exc_page_fault_[k]", "do_page_fault", "handle_mm_fault_[k]"])]
#[case::exec(Category::Scheduling, &["java/util/concurrent/ThreadPoolExecutor.execute", "scala/concurrent/ExecutionContext.execute", "com/x/Pg.exec_no_cache"], &["schedule_[k]", "runtime.findRunnable"])]
#[case::io(Category::DiskIo, &["github.com/x/y.Do", "k8s.io/client-go/rest.(*Request).Do", "io/netty/util/Recycler.get"], &["os.(*File).Read", "vfs_read_[k]", "java/io/FileInputStream.readBytes"])]
#[case::lock(Category::LockContention, &["com/x/Chain.addBlock", "sched_clock_[k]", "block in Foo#bar", "com/x/Cache.getUnlocked", "github.com/x/y.(*Store).putLocked"], &["sync.(*Mutex).lockSlow", "libjvm.so.ObjectMonitor::enter", "_raw_spin_lock_[k]", "java/util/concurrent/locks/ReentrantLock.lock"])]
#[case::hash(Category::Hashing, &["github.com/hashicorp/memberlist.(*Memberlist).Ping", "java/util/HashMap.get", "java/util/HashSet.contains"], &["github.com/cespare/xxhash/v2.Sum64", "runtime.memhash64", "java/lang/String.hashCode"])]
#[case::read(Category::DiskIo, &["java/lang/Thread.run", "com/x/Readable.name", "io/netty/channel/AbstractChannelHandlerContext.fireChannelRead", "com/x/Task.already"], &["generic_file_read_iter", "libc.so.6.pread64"])]
#[case::select(Category::Idle, &["com/x/Query.select", "io/netty/channel/nio/NioEventLoop.updateSelectedKeys"], &["sun/nio/ch/SelectorImpl.select", "sun/nio/ch/EPoll.wait"])]
#[case::compile(Category::JitOverhead, &["regexp.Compile", "Module._compile module.js", "System.Runtime.CompilerServices!AsyncMethodBuilderCore.Start", "java/util/regex/Pattern.compile"], &["System.Linq.Expressions.Compiler!LambdaCompiler.Compile", "libjvm.so.Compile::Optimize"])]
#[case::gc(Category::GcPressure, &["io/netty/handler/codec/http/HttpHeaders.isTransferEncodingChunked", "java/lang/StringConcatHelper.newArray", "github.com/thanos-io/objstore/providers/gcs.NewBucket", "crypto/cipher.(*gcmAsm).Seal", "com/sun/crypto/provider/GCM.update"], &["runtime.gcDrain", "libjvm.so.G1EvacuateRegionsTask::work", "(garbage collector)", "WKS::gc_heap::mark_object_simple", "gc_collect_main", "<boa::Value as gc::trace::Trace>::trace"])]
#[case::mark(Category::GcPressure, &["main.BenchmarkSort", "kafka/log/LogSegment.highWatermark", "com/x/Water.setMark"], &["runtime.markroot", "(marking)"])]
#[case::log(Category::Logging, &["github.com/grafana/loki/pkg/logql/syntax.ParseExpr", "com/x/Catalog.get", "kafka/log/LocalLog.append", "github.com/prometheus/prometheus/tsdb/wlog.(*WL).log", "math.Log"], &["go.uber.org/zap.(*Logger).Info", "org/slf4j/LoggerFactory.getLogger", "log.Println"])]
#[case::wait(Category::ThreadWaiting, &["nr_iowait_cpu_[k]", "com/x/Flow.awaitless"], &["java/lang/Object.wait", "sync.(*WaitGroup).Wait", "schedule_timeout_[k]"])]
#[case::idle(Category::Idle, &["net/http.(*Transport).closeConnIfStillIdle", "runtime.gcDrainMarkWorkerIdle"], &["(idle)", "intel_idle_[k]", "swapper"])]
#[case::park(Category::ThreadWaiting, &["java/util/concurrent/locks/LockSupport.unpark", "java/util/concurrent/locks/LockSupport.getBlocker", "libasyncProfiler.so.LockTracer::getParkBlocker", "org/apache/spark/scheduler/Task.run"], &["java/util/concurrent/locks/LockSupport.park", "libjvm.so.Parker::park", "runtime.gopark"])]
#[case::sleep(Category::ThreadWaiting, &["sched_clock_idle_sleep_event_[k]", "com/x/Bed.sleeper"], &["java/lang/Thread.sleep", "time.Sleep", "System.Threading.Thread.Sleep"])]
#[case::dns(Category::DnsResolution, &["crypto/x509/pkix.(*RDNSequence).FillFromRDNSequence", "com/x/RDNSequence.get"], &["net.(*Resolver).LookupHost", "getaddrinfo"])]
#[case::json(Category::Serialization, &["github.com/google/go-jsonnet.(*VM).Evaluate"], &["encoding/json.Marshal", "com/fasterxml/jackson/core/JsonParser.nextToken", "JSON.parse"])]
#[case::tls(Category::Crypto, &["native_load_tls_[k]", "__tls_get_addr"], &["crypto/tls.(*Conn).Handshake", "SSL_do_handshake"])]
fn a_substring_proves_nothing(#[case] of: Category, #[case] traps: &[&str], #[case] truly: &[&str]) {
    for name in traps {
        assert_ne!(category(name), Some(of), "{name}");
    }
    for name in truly {
        assert_eq!(category(name.trim_start_matches("stub ")), Some(of), "{name}");
    }
}

/// A rule for kernel functions needs the kernel's context, and a database server is no client of a database.
#[rstest]
#[case::of_a_program("mysqld`do_select", None)]
#[case::of_the_kernel("genunix`fop_read", Some(Category::DiskIo))]
#[case::without_a_module("do_select", Some(Category::Idle))]
#[case::marked("do_select_[k]", Some(Category::Idle))]
#[case::control_call("genunix`fop_ioctl", None)]
#[case::control_call_of_a_module("specfs`spec_ioctl", None)]
#[case::inside_a_server("mysqld`mysql_execute_command", None)]
#[case::client_of_a_server("libmysqlclient.so.21.mysql_real_query", Some(Category::Database))]
#[case::middleware("github.com/aws/aws-sdk-go-v2/service/s3.(*awsRestxml_serializeOpGetObject).HandleSerialize", None)]
#[case::codec(
    "github.com/aws/aws-sdk-go-v2/service/s3.awsRestxml_deserializeDocumentObject",
    Some(Category::Serialization)
)]
#[case::opened_as_any_file("alloc_file_pseudo", None)]
#[case::libc_in_go("modernc.org/libc.Xmalloc", Some(Category::Allocation))]
#[case::file_of_libc_in_go("modernc.org/libc.Xpread64", Some(Category::DiskIo))]
#[case::sqlite_in_go("modernc.org/sqlite/lib.Xsqlite3_step", Some(Category::Database))]
#[case::sqlite_by_cgo("_cgo_0123456789ab_Cfunc_sqlite3_step", Some(Category::Database))]
#[case::sqlite_of_cgo("github.com/mattn/go-sqlite3._Cfunc_sqlite3_step", Some(Category::Database))]
#[case::native_threads_of_node("Non JS threads activity", Some(Category::Unresolved))]
#[case::native_threads_of_the_sdk(":Non JS threads activity:0", Some(Category::Unresolved))]
#[case::outside_javascript("(program)", Some(Category::Unresolved))]
#[case::library_alone("libc.so.6+0x1234", Some(Category::Unresolved))]
#[case::pino("./node_modules/pino/lib/proto.js:write:173", Some(Category::Logging))]
#[case::winston("/app/node_modules/winston-transport/index.js:_write:50", Some(Category::Logging))]
#[case::parser_of_v8("v8::internal::Parser::ParseProgram", Some(Category::ClassLoading))]
#[case::in_postgres("postgres`do_select", None)]
#[case::in_qemu("qemu-system-x86_64`do_futex", None)]
#[case::in_redis("redis-server`readQueryFromClient", None)]
#[case::string_without_its_type("!.Concat", Some(Category::StringAllocation))]
#[case::console_of_node("consoleCall", Some(Category::Logging))]
#[case::logger_on_windows("/C:/shop/node_modules/log4js/lib/logger.js:log:82", Some(Category::Logging))]
#[case::collector_as_the_sdk_writes_it("Garbage Collection", Some(Category::GcPressure))]
#[case::directory_on_windows("syscall.findNextFile1", Some(Category::DiskIo))]
fn context_decides_what_a_name_means(#[case] name: &str, #[case] expected: Option<Category>) {
    assert_eq!(category(name), expected, "{name}");
}

#[rstest]
#[case::python_module_body("<module> (ssl.py:99)", Some(Category::ClassLoading))]
#[case::python_module_function("create_default_context (ssl.py:730)", Some(Category::Crypto))]
#[case::retry_runs_its_caller("github.com/cenkalti/backoff/v4.Retry", None)]
#[case::kernel_priority_list("plist_add", None)]
#[case::property_list("plist_to_xml", Some(Category::Serialization))]
#[case::comparing("libsystem_platform.dylib`_platform_memcmp", None)]
#[case::dynamic_cast("__cxxabiv1::__vmi_class_type_info::__do_dyncast", None)]
#[case::path_text("std::filesystem::__cxx11::path::_M_split_cmpts", None)]
#[case::page_of_a_socket("mem_cgroup_uncharge_skmem", Some(Category::NetworkIo))]
#[case::waking_a_pool("System.Threading.LowLevelLifoSemaphore.Release", Some(Category::Scheduling))]
#[case::waiting_in_a_pool("System.Threading.LowLevelLifoSemaphore.Wait", Some(Category::Idle))]
#[case::no_function("UNMANAGED_CODE_TIME", None)]
#[case::number_of_any_purpose("encoding/binary.littleEndian.PutUint64", None)]
#[case::one_after_the_other("github.com/cockroachdb/cockroach/pkg/sql.(*connExecutor).serialize", None)]
#[case::asking_a_converter("org/springframework/http/converter/ResourceRegionHttpMessageConverter.canWrite", None)]
#[case::converting(
    "org/springframework/http/converter/json/AbstractJackson2HttpMessageConverter.writeInternal",
    Some(Category::Serialization)
)]
fn tells_a_name_from_its_neighbour(#[case] name: &str, #[case] expected: Option<Category>) {
    assert_eq!(category(name), expected);
}

#[rstest]
#[case("runtime.mallocgc", "go.allocation")]
#[case("github.com/grafana/regexp.(*machine).match", "go.regex")]
#[case("json.decoder.decode (json/decoder.py:337)", "python.serialization")]
#[case("./node_modules/pg/lib/client.js:query:520", "node.database")]
#[case("ActiveRecord::ConnectionAdapters::PostgreSQLAdapter#exec_no_cache", "ruby.database")]
#[case("PDOStatement::execute", "php.database")]
#[case("preg_match", "php.regex")]
#[case("System!String.Concat", "dotnet.strings")]
#[case("hashbrown::raw::RawTable<T>::reserve_rehash", "rust.growth")]
#[case("_PyUnicode_JoinArray", "cpython.strings")]
#[case("v8::internal::Scavenger::ScavengeObject", "v8.gc")]
fn names_the_rule_of_each_runtime(#[case] name: &str, #[case] rule: &str) {
    assert_eq!(Rules::builtin().explain(name, "").rule.as_deref(), Some(rule));
}

#[test]
fn thresholds_name_their_source_and_say_what_is_a_judgement() {
    let rules = Rules::builtin();
    let gc = rules.threshold(Category::GcPressure, ProfileType::Cpu);
    assert_eq!((gc.percent, gc.judgement), (20.0, false));
    let regex = rules.threshold(Category::Regex, ProfileType::Wall);
    assert_eq!((regex.percent, regex.judgement), (10.0, true));
    assert_eq!(rules.threshold(Category::StringAllocation, ProfileType::Alloc).percent, 20.0);
    assert_eq!(rules.threshold(Category::Logging, ProfileType::Alloc).percent, 10.0);
}

#[test]
fn every_category_of_findings_has_advice_with_a_place_and_steps() {
    let rules = Rules::builtin();
    for category in Category::ALL.iter().filter(|category| category.is_active()) {
        let advice = rules.advice(*category, None);
        let text = advice.recommend("Cart.toJson", "12 % of the CPU time");
        assert!(text.contains("Cart.toJson") && text.contains("12 % of the CPU time"), "{category}: {text}");
        assert!(!advice.steps.is_empty(), "{category}");
    }
}

#[test]
fn a_runtime_may_have_steps_of_its_own_for_the_recommendation_of_all() {
    let rules = Rules::builtin();
    let (of_all, of_go) =
        (rules.advice(Category::GcPressure, None), rules.advice(Category::GcPressure, Some(Runtime::Go)));
    assert_eq!(of_go.recommendation, of_all.recommendation);
    assert_ne!(of_go.steps, of_all.steps);

    let dir = tempfile::tempdir().unwrap();
    let alone = "[[advice]]\ncategory = \"regex\"\nruntime = \"php\"\nsteps = []";
    std::fs::write(dir.path().join("advice.toml"), alone).unwrap();
    let error = Rules::load(dir.path()).unwrap_err();
    assert_eq!(error.problem, "the advice on \"regex\" has no recommendation");
}

#[test]
fn only_what_is_known_to_be_the_interpreters_lock_is_called_so() {
    let rules = Rules::builtin();
    assert_eq!(
        rules.advice(Category::LockContention, Some(Runtime::Python)),
        rules.advice(Category::LockContention, None)
    );
    let cause = |name: &str| rules.explain(name, "").cause;
    assert_eq!(cause("take_gil").as_deref(), Some("interpreter_lock"));
    assert_eq!(cause("PyThread_acquire_lock_timed"), None);
}

#[test]
fn a_step_asks_only_for_profiles_that_the_app_sends() {
    let rules = Rules::builtin();
    let asks = |step: &str, kinds: &[&str]| kinds.iter().any(|kind| step.contains(&format!("{kind} profile")));
    for row in &rules.advice {
        let steps = row.advice.steps_for(&[ProfileType::Exception]);
        let names = ["alloc", "alloc_space", "cpu", "heap", "lock", "mutex", "or lock", "wall", "or wall"];
        assert!(!steps.iter().any(|step| asks(step, &names)), "{}: {steps:?}", row.category);
    }
    let first = |kinds: &[ProfileType]| rules.advice(Category::LockContention, None).steps_for(kinds)[0].clone();
    let told = ["lock or wall", "wall"].map(|kinds| {
        format!("Take a {kinds} profile: a cpu profile shows only the cost of entering, spinning and waking.")
    });
    assert_eq!([first(&[]), first(&[ProfileType::Wall])], told);
    assert_eq!(first(&[ProfileType::Cpu]), "Move slow work out of the critical section.");
}

#[rstest]
#[case::go_lock_on_cpu(Category::LockContention, Runtime::Go, true, Visibility::CostOnly)]
#[case::java_only_gc(Category::GcPressure, Runtime::Jvm, false, Visibility::Unseen)]
#[case::native_gc(Category::GcPressure, Runtime::Jvm, true, Visibility::Seen)]
#[case::python_gc(Category::GcPressure, Runtime::Python, false, Visibility::Unseen)]
#[case::php_gc(Category::GcPressure, Runtime::Php, false, Visibility::Unseen)]
#[case::ruby_gc(Category::GcPressure, Runtime::Ruby, false, Visibility::Seen)]
#[case::go_gc(Category::GcPressure, Runtime::Go, true, Visibility::Seen)]
fn says_what_a_sampler_cannot_show(
    #[case] category: Category,
    #[case] runtime: Runtime,
    #[case] native: bool,
    #[case] expected: Visibility,
) {
    assert_eq!(Rules::builtin().visibility(category, Some(runtime), ProfileType::Cpu, native), expected);
}

#[rstest]
#[case::unknown_category(
    "[[rule]]\nid = \"x.a\"\nruntime = \"go\"\ncategory = \"gc\"\nnames = [\"a\"]",
    Some("x.a"),
    "unknown category: \"gc\""
)]
#[case::no_patterns(
    "[[rule]]\nid = \"x.a\"\nruntime = \"go\"\ncategory = \"regex\"",
    Some("x.a"),
    "has neither names nor libraries"
)]
#[case::no_runtime(
    "[[rule]]\nid = \"x.a\"\ncategory = \"regex\"\nnames = [\"a\"]",
    Some("x.a"),
    "has no runtime, and its file names none"
)]
#[case::matches_all(
    "[[rule]]\nid = \"x.a\"\nruntime = \"go\"\ncategory = \"regex\"\nnames = [\"**\"]",
    Some("x.a"),
    "the pattern \"**\" matches every name"
)]
#[case::taken_id(
    "[[rule]]\nid = \"go.regex\"\nruntime = \"go\"\ncategory = \"regex\"\nnames = [\"zzz\"]",
    Some("go.regex"),
    "the id stands in go.toml already"
)]
#[case::taken_pattern(
    "[[rule]]\nid = \"x.a\"\nruntime = \"go\"\ncategory = \"regex\"\nnames = [\"runtime.mallocgc*\"]",
    Some("x.a"),
    "the pattern \"runtime.mallocgc*\" stands in rule \"go.allocation\" already"
)]
#[case::taken_pattern_spelled_otherwise(
    "[[rule]]\nid = \"x.a\"\nruntime = \"go\"\ncategory = \"regex\"\nnames = [\"runtime/mallocgc*\"]",
    Some("x.a"),
    "the pattern \"runtime/mallocgc*\" stands in rule \"go.allocation\" already"
)]
#[case::threshold(
    "[[threshold]]\ncategory = \"idle\"\nkinds = [\"cpu\"]\npercent = 200.0\nsource = \"\"\njudgement = true",
    None,
    "the threshold of \"idle\" is 200, not a share of 0 to 100"
)]
#[case::no_place(
    "[[advice]]\ncategory = \"regex\"\nruntime = \"php\"\nrecommendation = \"Less.\"\nsteps = []",
    None,
    "the recommendation of \"regex\" has no {place}"
)]
#[case::advice_on_no_finding(
    "[[advice]]\ncategory = \"idle\"\nrecommendation = \"Nothing in {place}.\"\nsteps = []",
    None,
    "the advice on \"idle\" is never given: no finding is of it"
)]
fn an_error_names_file_rule_and_fault(#[case] text: &str, #[case] rule: Option<&str>, #[case] problem: &str) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("zz.toml"), text).unwrap();
    let error = Rules::load(dir.path()).unwrap_err();
    assert_eq!((error.file.as_str(), error.rule.as_deref(), error.problem.as_str()), ("zz.toml", rule, problem));
}

#[test]
fn a_directory_replaces_a_file_and_adds_others() {
    let dir = tempfile::tempdir().unwrap();
    let rule = |id: &str, name: &str| {
        format!("[[rule]]\nid = \"{id}\"\nruntime = \"go\"\ncategory = \"regex\"\nnames = [\"{name}\"]")
    };
    std::fs::write(dir.path().join("go.toml"), rule("my.go", "main.work")).unwrap();
    std::fs::write(dir.path().join("more.toml"), rule("my.more", "main.more")).unwrap();
    let rules = Rules::load(dir.path()).unwrap();
    let category = |name: &str| rules.explain(name, "").category;
    assert_eq!(category("main.work"), Some(Category::Regex));
    assert_eq!(category("main.more"), Some(Category::Regex));
    assert_eq!(category("runtime.mallocgc"), None, "the file of that name is replaced as a whole");
    assert_eq!(category("encoding/json.Marshal"), Some(Category::Serialization), "others stay");
}

#[test]
fn an_empty_or_absent_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Rules::load(dir.path()).is_err());
    assert!(Rules::load(&dir.path().join("none")).is_err());
}

#[test]
fn real_names_are_claimed_in_the_numbers_measured() {
    let Some(path) = crate::kernel::testing::shared("frames/names.txt") else { return };
    let bytes = std::fs::read(path).unwrap();
    let rules = Rules::builtin();
    let text = String::from_utf8_lossy(&bytes);
    let mut counts = std::collections::BTreeMap::<Category, usize>::new();
    for name in text.lines() {
        if let Some(category) = rules.explain(name, "").category {
            *counts.entry(category).or_default() += 1;
        }
    }
    let total: usize = counts.values().sum();
    assert!((2_900..3_800).contains(&total), "claimed {total}: {counts:?}");
    for (category, floor) in [
        (Category::Serialization, 800),
        (Category::NetworkIo, 400),
        (Category::Database, 140),
        (Category::DiskIo, 150),
        (Category::Crypto, 130),
        (Category::GcPressure, 110),
        (Category::Regex, 100),
        (Category::Allocation, 80),
        (Category::PageFaults, 70),
        (Category::StringAllocation, 90),
        (Category::LockContention, 45),
        (Category::JitOverhead, 40),
    ] {
        assert!(counts.get(&category).copied().unwrap_or(0) >= floor, "{category}: {counts:?}");
    }
}

#[test]
fn reads_a_name_in_a_stack_of_the_jvm_as_a_search_there_does() {
    let rules = Rules::builtin();
    let (mut same, mut other) = (0, 0);
    for name in [
        "runtime.scanobject",
        "main.main",
        "java.util.HashMap.resize",
        "memcpy",
        "json_encode",
        "CompileBroker::compiler_thread_loop",
        "G1ParScanThreadState::copy_to_survivor_space",
        "JavaThread::run",
        "Monitor::wait",
        "ThreadPool::run",
        "futex_wait",
        "std::thread::park",
    ] {
        let frame = Frame::of(name, "");
        let expected = [None, Some(Runtime::Jvm)].map(|context| rules.rule_of(&frame, context));
        assert_eq!(rules.rules_of(&frame), expected, "{name}");
        if expected[0] == expected[1] { same += 1 } else { other += 1 }
    }
    assert!(same > 0 && other > 0, "{same} {other}");
}

#[test]
fn every_rule_that_claims_whatever_runs_beneath_says_why() {
    let rules = Rules::builtin();
    let subtrees: Vec<_> = rules.rules().iter().filter(|rule| rule.reach == Reach::Subtree).collect();
    assert!(subtrees.len() > 200, "{}", subtrees.len());
    for rule in subtrees {
        let why = rules.why_subtree(rule).unwrap_or_else(|| panic!("{} gives no reason", rule.id));
        assert!(why.len() > 20, "{}: {why}", rule.id);
        println!("{:28} {:20} {why}", rule.id, rule.category.map_or("none", Category::as_str));
    }
}

#[test]
fn a_reason_is_for_subtrees_only() {
    let text =
        "runtime = \"go\"\n[[rule]]\nid = \"a\"\ncategory = \"regex\"\nwhy = \"calls nobody\"\nnames = [\"a.b\"]";
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("own.toml"), text).unwrap();
    assert_eq!(
        Rules::load(dir.path()).unwrap_err().to_string(),
        "own.toml: rule \"a\": why is for rules of reach subtree"
    );
}
