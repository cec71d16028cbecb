use super::*;
use crate::kernel::ProfileType;
use crate::kernel::testing::shared;
use crate::profile::{ProfileBuilder, ReadLimits, SampleType, read_pprof};
use crate::verdict::catalogue::Rules;
use crate::verdict::category::{Category, Runtime};
use rstest::rstest;

/// What folded text (root first) is claimed as, and by which frame.
fn claimed(folded: &str, kind: ProfileType) -> (Option<Category>, Option<String>) {
    let said = Rules::builtin().explain_stack(folded, kind);
    (said.category, said.frame)
}

fn category(folded: &str, kind: ProfileType) -> Option<Category> {
    claimed(folded, kind).0
}

#[rstest]
#[case::leaf_first(
    "main.handle;encoding/json.Marshal;encoding/json.(*encodeState).string;runtime.mallocgc",
    Category::Allocation
)]
#[case::library_of_the_caller("main.handle;encoding/json.Marshal;main.(*T).helper", Category::Serialization)]
#[case::collector_thread(
    "libjvm.so.thread_native_entry;libjvm.so.GangWorker::loop;libjvm.so.G1ParTask::work;libc.so.6.memcpy",
    Category::GcPressure
)]
#[case::compiler_thread(
    "start_thread;libjvm.so.CompileBroker::compiler_thread_loop;libc.so.6.malloc",
    Category::JitOverhead
)]
#[case::copy_under_tcp(
    "main;libc.so.6.__libc_send;do_syscall_64_[k];tcp_sendmsg_[k];copy_user_enhanced_fast_string_[k]",
    Category::NetworkIo
)]
#[case::copy_under_vfs("main;vfs_read_[k];ext4_file_read_iter_[k];copy_page_to_iter_[k]", Category::DiskIo)]
#[case::copy_alone("main;copy_user_enhanced_fast_string_[k]", Category::MemoryCopy)]
#[case::caller_of_copy_of(
    "com/x/Cart.add;java/util/ArrayList.grow;java/util/Arrays.copyOf",
    Category::CollectionResizing
)]
#[case::collector_of_python(
    "build (graph.py:7);Node.__init__ (graph.py:4);gc_collect_main (libpython3.11.so.1.0)",
    Category::GcPressure
)]
#[case::logging_in_to_the_database(
    "main.lookup;github.com/lib/pq.(*conn).auth;github.com/lib/pq/scram.(*Client).saltPassword;crypto/internal/fips140/sha256.blockSHANI",
    Category::Database
)]
#[case::digest_of_ones_own("main.lookup;crypto/internal/fips140/sha256.blockSHANI", Category::Crypto)]
#[case::waiting_for_a_connection_of_the_pool(
    "com/shop/Order.load;com/zaxxer/hikari/util/ConcurrentBag.borrow;java/util/concurrent/locks/LockSupport.parkNanos;jdk/internal/misc/Unsafe.park;__futex_abstimed_wait_common",
    Category::Database
)]
#[case::skid_of_unlock("main;try_to_wake_up_[k];_raw_spin_unlock_irqrestore_[k]", Category::Scheduling)]
#[case::socket_under_dispatcher(
    "java/lang/Thread.run;sun/nio/ch/SocketChannelImpl.write;sun/nio/ch/IOUtil.write;sun/nio/ch/FileDispatcherImpl.write0",
    Category::NetworkIo
)]
#[case::spinning_for_a_lock_of_the_runtime(
    "main.main;main.train;runtime.chansend1;runtime.chansend;runtime.lock2;runtime.osyield;runtime.usleep",
    Category::LockContention
)]
#[case::sleeping_between_two_searches(
    "runtime.mcall;runtime.schedule;runtime.findRunnable;runtime.stealWork;runtime.runqgrab;runtime.usleep",
    Category::Scheduling
)]
#[case::import_of_a_library(
    "<module> (shop/main.py:1);serve (shop/main.py:9);<module> (pandas/__init__.py:3);setup (pandas/core/api.py:8)",
    Category::ClassLoading
)]
#[case::import_of_a_module_of_ones_own(
    "<module> (shop/main.py:1);_call_with_frames_removed (<frozen importlib._bootstrap>:241);<module> (shop/tables.py:9)",
    Category::ClassLoading
)]
#[case::work_of_an_import_that_a_rule_knows(
    "<module> (shop/main.py:1);<module> (pandas/__init__.py:3);compile (re/__init__.py:8)",
    Category::Regex
)]
#[case::scheduler_search(
    "runtime.mcall;runtime.park_m;runtime.schedule;runtime.findRunnable;runtime.stopm;runtime.notesleep;runtime.futexsleep;runtime.futex",
    Category::Scheduling
)]
fn claims_a_stack_from_the_leaf_up(#[case] folded: &str, #[case] expected: Category) {
    assert_eq!(category(folded, ProfileType::Cpu), Some(expected));
}

#[rstest]
#[case::row_of_a_query(
    "com/acme/Cart.load;org/jooq/impl/AbstractQuery.fetch;com/acme/Cart.row;com/acme/Cart.price",
    None
)]
#[case::driver_of_unknown_name(
    "com/acme/Cart.load;org/jooq/impl/AbstractQuery.fetch;com/acmedb/Driver.read",
    Some(Category::Database)
)]
#[case::converter_of_a_codec(
    "com/acme/Cart.load;com/fasterxml/jackson/databind/ObjectMapper.readValue;com/acme/Cart.of",
    Some(Category::Serialization)
)]
fn what_a_library_calls_back_is_the_application(#[case] folded: &str, #[case] expected: Option<Category>) {
    assert_eq!(category(folded, ProfileType::Cpu), expected);
}

#[test]
fn time_outside_javascript_is_node_s() {
    let runtime = |folded: &str| {
        let unit = SampleType::new("samples", "");
        let profile = crate::profile::read_folded(folded.as_bytes(), unit, &ReadLimits::default()).unwrap();
        let claims = Claims::of(&Rules::builtin(), &profile, ProfileType::Cpu);
        claims.claims().flatten().find(|claim| claim.category == Category::Unresolved).map(|claim| claim.runtime)
    };
    assert_eq!(runtime("(program) 5\nnode:internal/timers:listOnTimeout:5 5\n"), Some(Runtime::Node));
    assert_eq!(runtime("[unknown] 5\nmain;malloc 5\n"), Some(Runtime::Native));
}

#[rstest]
#[case::main("<module> (shop/main.py:1);total (shop/cart.py:4)")]
#[case::run_by_the_runtime("_run_code (<frozen runpy>:88);<module> (celery/bin/worker.py:1);total (shop/cart.py:4)")]
#[case::of_a_package("<module> (celery/__main__.py:1);total (shop/cart.py:4)")]
#[case::of_the_application("<module> (shop/main.py:1);<module> (shop/cart.py:1);total (shop/cart.py:4)")]
fn the_body_of_a_module_may_be_the_program(#[case] folded: &str) {
    assert_eq!(category(folded, ProfileType::Cpu), None);
}

/// A rule may claim whatever runs beneath, but not beneath names of code that wraps a request or a block.
#[rstest]
#[case::valve("java/lang/Thread.run;ch/qos/logback/access/tomcat/LogbackValve.invoke;com/x/Cart.total")]
#[case::filter_of_a_logger(
    "java/lang/Thread.run;ch/qos/logback/classic/helpers/MDCInsertingServletFilter.doFilter;com/x/Cart.total"
)]
#[case::session_in_view(
    "java/lang/Thread.run;org/springframework/orm/jpa/support/OpenEntityManagerInViewFilter.doFilterInternal;com/x/Cart.total"
)]
#[case::interceptor_of_a_proxy(
    "java/lang/Thread.run;org/hibernate/proxy/pojo/bytebuddy/ByteBuddyInterceptor.intercept;com/x/Cart.total"
)]
#[case::middleware_of_dotnet("NLog.Web!NLog.Web.NLogBufferingTargetWrapperMiddleware.Invoke;Shop!Shop.Cart.Total")]
#[case::middleware_of_rack("ActiveRecord::Migration::CheckPending#call;Shop::Cart#total")]
#[case::block_with_a_connection("ActiveRecord::ConnectionAdapters::ConnectionPool#with_connection;Shop::Cart#total")]
#[case::scope_of_a_logger("shop::main;slog_scope::scope;shop::cart::total")]
fn what_wraps_a_request_claims_no_subtree(#[case] folded: &str) {
    assert_eq!(category(folded, ProfileType::Cpu), None);
}

#[rstest]
#[case::valve(
    "java/lang/Thread.run;ch/qos/logback/access/tomcat/LogbackValve.invoke;ch/qos/logback/core/spi/AppenderAttachableImpl.appendLoopOnAppenders",
    Category::Logging
)]
#[case::codec("shop::main;serde_json::de::from_str;shop::cart::visit", Category::Serialization)]
#[case::logger("com/x/Cart.total;ch/qos/logback/classic/Logger.info;com/x/Cart.toString", Category::Logging)]
fn what_calls_nobodys_code_claims_what_runs_beneath(#[case] folded: &str, #[case] expected: Category) {
    assert_eq!(category(folded, ProfileType::Cpu), Some(expected));
}

#[rstest]
#[case::labels_around_work("runtime.main;main.main;runtime/pprof.Do;main.main.func1;main.work")]
#[case::reflection_around_work("java/lang/Thread.run;java/lang/reflect/Method.invoke;com/x/Cart.total")]
#[case::middleware_around_work(
    "./node_modules/morgan/index.js:logger:103;./node_modules/express/lib/router/layer.js:handle:86;./index.js:search:44"
)]
#[case::poll_that_calls_back("node;libuv.so.uv_run;libuv.so.uv__io_poll;myapp_on_read")]
#[case::runtime_that_blocks_on_work("main;tokio::runtime::park::CachedParkThread::block_on;shop::main::{{closure}}")]
#[case::tls_pipeline_around_work(
    "io/netty/handler/ssl/SslHandler.channelRead;io/netty/channel/AbstractChannelHandlerContext.fireChannelRead;com/x/Handler.run"
)]
#[case::logging_interceptor(
    "github.com/grpc-ecosystem/go-grpc-middleware/logging/zap.UnaryServerInterceptor.func1;main.(*Shop).Buy"
)]
#[case::transaction_around_work("org/springframework/transaction/support/TransactionTemplate.execute;com/x/Cart.total")]
#[case::lock_wrapper_around_work("kafka/utils/CoreUtils$.inLock;com/x/Cart.total")]
#[case::import_around_work("main (app.py:3);_find_and_load (<frozen importlib._bootstrap>:1360);compute (app.py:9)")]
fn a_wrapper_does_not_claim_what_runs_beneath_it(#[case] folded: &str) {
    assert_eq!(category(folded, ProfileType::Cpu), None);
}

#[rstest]
#[case::own_package(
    "java/lang/Thread.run;java/lang/reflect/Method.invoke;java/lang/reflect/Method.checkAccess",
    Category::Reflection
)]
#[case::own_leaf("runtime.main;runtime/pprof.Do", Category::ProfilerOverhead)]
fn a_wrapper_claims_its_own(#[case] folded: &str, #[case] expected: Category) {
    assert_eq!(category(folded, ProfileType::Cpu), Some(expected));
}

#[rstest]
#[case::pool_worker(
    "java/lang/Thread.run;java/util/concurrent/ThreadPoolExecutor.runWorker;java/util/concurrent/ThreadPoolExecutor.getTask;java/util/concurrent/LinkedBlockingQueue.take;java/util/concurrent/locks/LockSupport.park;jdk/internal/misc/Unsafe.park",
    Category::Idle
)]
#[case::waiting_for_an_answer(
    "com/x/Cart.load;java/util/concurrent/CompletableFuture.get;java/util/concurrent/locks/LockSupport.park;jdk/internal/misc/Unsafe.park",
    Category::ThreadWaiting
)]
#[case::waiting_for_a_lock(
    "com/x/Cart.load;java/util/concurrent/locks/ReentrantLock.lock;java/util/concurrent/locks/AbstractQueuedSynchronizer.acquire;java/util/concurrent/locks/LockSupport.park;jdk/internal/misc/Unsafe.park",
    Category::LockContention
)]
#[case::idle_goroutine(
    "runtime.mcall;runtime.park_m;runtime.schedule;runtime.findRunnable;runtime.stopm;runtime.futexsleep",
    Category::Idle
)]
#[case::switched_away(
    "main;libc.so.6.pthread_mutex_lock;do_futex_[k];futex_wait_[k];futex_wait_queue_me_[k];schedule_[k];__schedule_[k]",
    Category::LockContention
)]
#[case::collector_at_rest(
    "libjvm.so.GangWorker::loop;libjvm.so.Monitor::wait;libc.so.6.pthread_cond_wait",
    Category::Idle
)]
fn tells_rest_from_waiting_where_time_elapses(#[case] folded: &str, #[case] expected: Category) {
    assert_eq!(category(folded, ProfileType::Wall), Some(expected));
}

#[test]
fn only_what_never_runs_is_idle_on_a_cpu_profile() {
    assert_eq!(category("start_secondary;cpu_startup_entry;intel_idle", ProfileType::Cpu), Some(Category::Idle));
    assert_eq!(
        category("main;libc.so.6.epoll_wait;do_epoll_wait_[k];ep_poll_[k]", ProfileType::Cpu),
        Some(Category::Scheduling)
    );
    let jfr = "java/lang/Thread.run;sun/nio/ch/SelectorImpl.select;sun/nio/ch/EPoll.wait";
    assert_eq!(
        category(jfr, ProfileType::Cpu),
        Some(Category::Idle),
        "a sampler of Java frames alone samples parked threads"
    );
}

/// As async-profiler sees them; what waits in the app itself is not idle.
#[rstest]
#[case::worker_of_the_collector(
    "libjvm.so.GangWorker::run;libjvm.so.GangWorker::loop;libjvm.so.PosixSemaphore::wait",
    true
)]
#[case::vm_thread("libjvm.so.VMThread::run;libjvm.so.VMThread::wait_for_operation;libjvm.so.Monitor::wait", true)]
#[case::service_thread(
    "libjvm.so.ServiceThread::service_thread_entry;libjvm.so.Monitor::wait_without_safepoint_check",
    true
)]
#[case::signals("libjvm.so.signal_thread_entry;libjvm.so.os::signal_wait", true)]
#[case::launcher(
    "libjli.so.ContinueInNewThread;libjli.so.CallJavaMainInNewThread;libc.so.6.__pthread_clockjoin_ex",
    true
)]
#[case::timer_of_the_profiler(
    "libjvm.so.JvmtiAgentThread::call_start_function;libasyncProfiler-_.so.Profiler::timerLoop",
    true
)]
#[case::agent(
    "io/pyroscope/vendor/okhttp3/internal/concurrent/TaskRunner$RealBackend.coordinatorWait;java/lang/Object.wait",
    true
)]
#[case::app("java/lang/Thread.run;shop/Ledger.await;java/lang/Object.wait;libjvm.so.JVM_MonitorWait", false)]
fn threads_of_a_jvm_that_wait_for_work_are_idle(#[case] stack: &str, #[case] is_idle: bool) {
    let waits = format!(
        "{stack};libjvm.so.os::PlatformMonitor::wait;libc.so.6.___pthread_cond_wait;libc.so.6.__futex_abstimed_wait_common"
    );
    let expected = if is_idle { Category::Idle } else { Category::ThreadWaiting };
    assert_eq!(category(&waits, ProfileType::Wall), Some(expected));
}

#[test]
fn spare_marking_is_reported_and_not_counted() {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let names = ["runtime.scanobject", "runtime.gcDrain", "runtime.gcDrainMarkWorkerIdle", "runtime.gcBgMarkWorker"];
    let frames: Vec<_> = names.iter().map(|n| builder.function(n, "")).collect();
    builder.add(frames.iter().copied(), &[1]);
    builder.add([frames[0], frames[1], frames[3]], &[1]);
    let profile = builder.build();
    let claims = Claims::of(&Rules::builtin(), &profile, ProfileType::Cpu);
    let counted: Vec<_> = claims.claims().map(|c| c.map(|c| (c.category, c.counted))).collect();
    assert_eq!(counted, [Some((Category::GcPressure, false)), Some((Category::GcPressure, true))]);
}

#[test]
fn code_without_names_claims_only_where_nothing_above_does() {
    assert_eq!(category("main.work;[unknown]", ProfileType::Cpu), Some(Category::Unresolved));
    assert_eq!(
        category("a/B.run;java/util/zip/Deflater.deflateBytes;[unknown]", ProfileType::Cpu),
        Some(Category::Compression)
    );
}

#[test]
fn the_allocator_says_nothing_where_bytes_are_counted() {
    let stack = "main;serde_json::de::from_str;alloc::raw_vec::finish_grow;malloc";
    assert_eq!(category(stack, ProfileType::Alloc), Some(Category::CollectionResizing));
    assert_eq!(category("main;handle;malloc", ProfileType::Alloc), None);
}

#[test]
fn a_class_name_that_any_program_may_have_is_the_vms_only_at_home() {
    assert_eq!(category("main;WorkerThread::run;Node::visit", ProfileType::Cpu), None);
    let vm = "start_thread;libjvm.so.WorkerThread::run;libjvm.so.G1EvacuateRegionsTask::work";
    assert_eq!(category(vm, ProfileType::Cpu), Some(Category::GcPressure));
    let bare = "start_thread;WorkerThread::run;G1EvacuateRegionsTask::work;Copy::disjoint_words";
    assert_eq!(category(bare, ProfileType::Cpu), Some(Category::GcPressure));
}

#[test]
fn finds_the_runtime_of_each_stack() {
    let rules = Rules::builtin();
    let runtime = |folded: &str| rules.explain_stack(folded, ProfileType::Cpu).runtime;
    assert_eq!(runtime("a/B.run;java/util/HashMap.get"), Some(Runtime::Jvm));
    assert_eq!(runtime("main.main;net/http.(*Client).Do;tcp_sendmsg_[k]"), Some(Runtime::Go));
    assert_eq!(runtime("start_thread;GCTaskThread::run;memcpy"), Some(Runtime::Jvm));
    assert_eq!(runtime("do_syscall_64_[k];tcp_sendmsg_[k]"), Some(Runtime::Kernel));
    assert_eq!(runtime("main;malloc"), Some(Runtime::Native));
    assert_eq!(runtime("[unknown]"), None);
}

#[test]
fn names_a_method_and_a_c_function_apart() {
    let rules = Rules::builtin();
    let said = |stack: &str| rules.explain_stack(stack, ProfileType::Cpu).category;
    assert_eq!(said("run (app.py:3);inflate"), None, "a bare word in a Python stack is nobody's C function");
    assert_eq!(said("main;inflate"), Some(Category::Compression));
}

#[test]
fn a_tagged_go_program_is_its_own_work_not_the_profiler() {
    let Some(path) = shared("profiles/go-cpu-exemplars.pb.gz") else { return };
    let profile = read_pprof(&std::fs::read(path).unwrap(), &ReadLimits::default()).unwrap().profile;
    let claims = Claims::of(&Rules::builtin(), &profile, ProfileType::Cpu);
    let value = profile.sample_types().len() - 1;
    let (mut own, mut overhead, mut total) = (0, 0, 0);
    for (stack, claim) in profile.stacks().zip(claims.claims()) {
        total += stack.values[value];
        let work = stack.frames.first().is_some_and(|f| profile.name(*f) == "main.work");
        if work {
            assert_eq!(claim, None);
            own += stack.values[value];
        }
        if claim.is_some_and(|c| c.category == Category::ProfilerOverhead) {
            overhead += stack.values[value];
        }
    }
    assert!(own * 10 > total * 9, "main.work is {own} of {total}");
    assert!(overhead * 100 < total, "the profiler is {overhead} of {total}");
}

#[test]
fn a_wall_of_frames_is_judged_in_passing() {
    let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
    let own = builder.function("main.work", "");
    let other = builder.function("github.com/x/y.Call", "");
    let wrapper = builder.function("runtime/pprof.Do", "");
    let mut frames = vec![own; 100_000];
    frames.push(other);
    frames.extend(vec![wrapper; 200_000]);
    builder.add(frames, &[1]);
    let claims = Claims::of(&Rules::builtin(), &builder.build(), ProfileType::Cpu);
    assert!(claims.claims().eq([None]));
}

#[test]
fn a_stack_is_claimed_alike_whatever_other_languages_the_profile_holds() {
    let go = [
        "main.handle;encoding/json.Marshal;encoding/json.(*encodeState).string;runtime.mallocgc",
        "main.handle;encoding/json.Marshal;main.(*T).helper",
        "main.handle;sort.Slice;main.less",
        "runtime.gcBgMarkWorker;runtime.gcDrain;runtime.scanobject",
        "runtime.mcall;runtime.park_m;runtime.schedule;runtime.findRunnable",
        "main.main;main.work",
    ];
    let claims = |further: &[(&str, &str)]| {
        let mut builder = ProfileBuilder::new(vec![SampleType::new("cpu", "nanoseconds")]);
        for stack in go {
            let frames: Vec<_> = stack.rsplit(';').map(|name| builder.function(name, "")).collect();
            builder.add(frames, &[1]);
        }
        for (name, file) in further {
            let frame = builder.function(name, file);
            builder.add([frame], &[1]);
        }
        let claims = Claims::of(&Rules::builtin(), &builder.build(), ProfileType::Cpu);
        (claims.claims().take(go.len()).collect::<Vec<_>>(), claims.runtimes().collect::<Vec<_>>())
    };
    let (alone, _) = claims(&[]);
    let (among_others, runtimes) = claims(&[("handle", "/app/shop.py")]);
    assert_eq!(runtimes.last(), Some(&Some(Runtime::Python)));
    assert_eq!(alone, among_others);
    assert!(alone.iter().flatten().count() >= 4, "{alone:?}");
}

#[rstest]
#[case::in_the_kernel("mysqld;do_syscall_64_[k];do_select_[k];schedule_hrtimeout_range_[k]", true)]
#[case::of_the_server("mysqld`handle_connection;mysqld`dispatch_command;mysqld`do_select", false)]
fn a_rule_for_the_kernel_claims_nothing_of_a_users_module(#[case] folded: &str, #[case] is_of_kernel: bool) {
    let of_kernel = claimed(folded, ProfileType::Cpu).1.is_some_and(|frame| frame.starts_with("do_select"));
    assert_eq!(of_kernel || category(folded, ProfileType::Cpu).is_some(), is_of_kernel);
}

#[rstest]
#[case::of_go("main.main;main.fill;runtime.mallocgc;runtime.gcStart;runtime.systemstack;runtime.gcMarkTinyAllocs")]
#[case::of_bdwgc("main;GC_malloc;GC_collect_a_little;GC_mark_from")]
fn a_collection_that_is_started_by_an_allocation_stays_the_collectors(#[case] folded: &str) {
    assert_eq!(category(folded, ProfileType::Cpu), Some(Category::GcPressure));
}

#[rstest]
#[case::thread_of_a_profiler(
    "thread_start;_pthread_start;WallClock::threadEntry;MacThreadList::next",
    Some(Category::ProfilerOverhead)
)]
#[case::message_loop(
    "System.Windows!Application.Run;System.Windows.Threading!System.Windows.Threading.Dispatcher.GetMessage",
    Some(Category::Idle)
)]
#[case::a_compiler_to_files("com/sun/tools/javac/launcher/Main.main;com/x/QuickSort.sort", None)]
fn what_only_looks_like_work_or_a_jit_compiler_is_neither(#[case] folded: &str, #[case] expected: Option<Category>) {
    assert_eq!(category(folded, ProfileType::Wall), expected);
}
