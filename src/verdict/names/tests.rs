use super::*;
use crate::verdict::category::Runtime;
use rstest::rstest;

#[rstest]
#[case::slashes("java/util/HashMap.resize", "java.util.HashMap.resize", Runtime::Jvm)]
#[case::dots(
    "java.util.concurrent.ThreadPoolExecutor.runWorker",
    "java.util.concurrent.ThreadPoolExecutor.runWorker",
    Runtime::Jvm
)]
#[case::perf_map("Ljava/util/zip/Inflater;::inflateBytes", "java.util.zip.Inflater.inflateBytes", Runtime::Jvm)]
#[case::perf_map_dot(
    "Lsun/nio/ch/EPollArrayWrapper;.epollWait",
    "sun.nio.ch.EPollArrayWrapper.epollWait",
    Runtime::Jvm
)]
#[case::folded("Ljava/util/zip/Inflater:::inflateBytes", "java.util.zip.Inflater.inflateBytes", Runtime::Jvm)]
#[case::folded_dot(
    "Lio/netty/channel/ChannelOutboundHandlerAdapter:.flush",
    "io.netty.channel.ChannelOutboundHandlerAdapter.flush",
    Runtime::Jvm
)]
#[case::folded_bare("java/util/zip/Inflater:::inflateBytes_[i]", "java.util.zip.Inflater.inflateBytes", Runtime::Jvm)]
#[case::marked(
    "io/netty/channel/nio/NioEventLoop:.processSelectedKey_[j]",
    "io.netty.channel.nio.NioEventLoop.processSelectedKey",
    Runtime::Jvm
)]
#[case::signature(
    "void java.util.concurrent.locks.LockSupport.parkNanos(java.lang.Object, long)",
    "java.util.concurrent.locks.LockSupport.parkNanos",
    Runtime::Jvm
)]
#[case::descriptor(
    "Lio/netty/channel/ChannelDuplexHandler;.flush(Lio/netty/channel/ChannelHandlerContext;)V",
    "io.netty.channel.ChannelDuplexHandler.flush",
    Runtime::Jvm
)]
#[case::inlined(
    "Lorg/apache/catalina/connector/CoyoteAdapter;::service->Lorg/apache/x/Y;::z",
    "org.apache.catalina.connector.CoyoteAdapter.service",
    Runtime::Jvm
)]
#[case::hidden(
    "java/lang/invoke/LambdaForm$DMH.0x00000008012b8000.newInvokeSpecial",
    "java.lang.invoke.LambdaForm$DMH.newInvokeSpecial",
    Runtime::Jvm
)]
#[case::library_behind("gc_collect_main (libpython3.11.so.1.0)", "gc_collect_main", Runtime::Native)]
#[case::source_behind("save (_pickle.c:4412)", "save", Runtime::Native)]
#[case::generated_python(
    "_flush (<sqlalchemy generated warned() wrapper for a.B._flush>:2)",
    "sqlalchemy._flush",
    Runtime::Python
)]
#[case::library("libjvm.so.Parker::park", "Parker::park", Runtime::Native)]
#[case::library_with_offset("libc.so.6`malloc+0x1f", "malloc", Runtime::Native)]
#[case::kernel_module("[kernel.kallsyms]`tcp_sendmsg", "tcp_sendmsg", Runtime::Kernel)]
#[case::interpreted("com/x/Shop.score_[0]", "com.x.Shop.score", Runtime::Jvm)]
#[case::compiled_by_c1("com/x/Shop.score_[1]", "com.x.Shop.score", Runtime::Jvm)]
#[case::lambda_of_pyroscope("com/x/Shop$$Lambda_.run", "com.x.Shop$$Lambda.run", Runtime::Jvm)]
#[case::library_of_pyroscope("libzstd-jni-_.so.ZSTD_compress", "ZSTD_compress", Runtime::Native)]
#[case::library_of_the_agent("libasyncProfiler-_.so.Profiler::recordSample", "Profiler::recordSample", Runtime::Native)]
#[case::kernel_mark("tcp_sendmsg_[k]", "tcp_sendmsg", Runtime::Kernel)]
#[case::kernel_image("vmlinux`tcp_sendmsg+0x1f", "tcp_sendmsg", Runtime::Kernel)]
#[case::rust_crate_hash("serde_json[1f2e3d4c5b6a7988]::de::from_str", "serde_json::de::from_str", Runtime::Rust)]
#[case::rust_legacy("_ZN10serde_json2de8from_str17h1234567890abcdefE", "serde_json::de::from_str", Runtime::Rust)]
#[case::rust_v0("_RNvNtCs1234_10serde_json2de8from_str", "serde_json::de::from_str", Runtime::Rust)]
#[case::python_file("total (/srv/shop/cart.py:12)", "srv.shop.cart.total", Runtime::Python)]
#[case::python_frozen(
    "_find_and_load (<frozen importlib._bootstrap>:1176)",
    "importlib._bootstrap._find_and_load",
    Runtime::Python
)]
#[case::python_thread("MainThread`execute", "execute", Runtime::Python)]
#[case::python_other_thread("Thread-3 (run)`execute", "execute", Runtime::Python)]
#[case::ruby("JSON::Ext::Parser#parse", "JSON::Ext::Parser#parse", Runtime::Ruby)]
#[case::ruby_calls("JSON::Ext::Parser#parse (51)", "JSON::Ext::Parser#parse", Runtime::Ruby)]
#[case::ruby_block("block in JSON::Ext::Parser#parse", "JSON::Ext::Parser#parse", Runtime::Ruby)]
#[case::ruby_class_method("<Class::IO>#read (91)", "IO.read", Runtime::Ruby)]
#[case::ruby_module_method("<Module::JSON>#generate", "JSON.generate", Runtime::Ruby)]
#[case::node_collector("Garbage Collection", "(garbage collector)", Runtime::Node)]
#[case::node_collector_of_the_sdk(":Garbage Collection:0", "(garbage collector)", Runtime::Node)]
#[case::node_collector_of_v8("(garbage collector)", "(garbage collector)", Runtime::Node)]
#[case::node_idle_of_the_sdk(":(idle):0", "(idle)", Runtime::Node)]
#[case::node_optimised("LazyCompile:*parse /app/cart.js:12", "app/cart:parse", Runtime::Node)]
#[case::node_interpreted("LazyCompile:~parse /app/cart.js:12", "app/cart:parse", Runtime::Node)]
#[case::node_baseline("LazyCompile:^parse /app/cart.js:12", "app/cart:parse", Runtime::Node)]
#[case::library_version("libc-2.31.so.epoll_wait", "epoll_wait", Runtime::Native)]
#[case::library_number("libc.so.6.__libc_read", "__libc_read", Runtime::Native)]
#[case::cpp_return(
    "libjvm.so.void OopOopIterateDispatch<G1RebuildRemSetClosure>::Table::oop_oop_iterate<InstanceKlass, narrowOop>",
    "OopOopIterateDispatch::Table::oop_oop_iterate",
    Runtime::Native
)]
#[case::empty_args("GCTaskThread::run()", "GCTaskThread::run", Runtime::Native)]
#[case::backtick("zfs`zil_commit", "zil_commit", Runtime::Kernel)]
#[case::backtick_windows("app.exe`Parker::park", "Parker::park", Runtime::Native)]
#[case::backtick_lib("libsystem_kernel`__getdirentries64", "__getdirentries64", Runtime::Native)]
#[case::kernel("local_bh_enable_[k]", "local_bh_enable", Runtime::Kernel)]
#[case::rust_old(
    "_$LT$collections..vec..Vec$LT$T$GT$$GT$::resize::h33edb9dae7314c90",
    "collections::vec::Vec::resize",
    Runtime::Rust
)]
#[case::rust_mangled("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write", Runtime::Rust)]
#[case::rust_v0("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar", Runtime::Rust)]
#[case::rust_trait(
    "<core::hash::sip::Sip13Rounds as core::hash::sip::Sip>::d_rounds",
    "core::hash::sip::Sip13Rounds::d_rounds",
    Runtime::Rust
)]
#[case::cpp_mangled(
    "_ZN6google8protobuf7Message15ParseFromStringE",
    "google::protobuf::Message::ParseFromString",
    Runtime::Native
)]
#[case::dotnet(
    "System.Threading!ThreadPoolWorkQueue.Dispatch",
    "System.Threading.ThreadPoolWorkQueue.Dispatch",
    Runtime::Dotnet
)]
#[case::dotnet_module(
    "System.Private.CoreLib.il!System.Threading.Thread.Sleep(int32)",
    "System.Threading.Thread.Sleep",
    Runtime::Dotnet
)]
#[case::dotnet_otel("System.Threading.Thread.Sleep", "System.Threading.Thread.Sleep", Runtime::Dotnet)]
#[case::dotnet_datadog(
    "|lm:System.Private.CoreLib |ns:System.Threading |ct:Thread |fn:Sleep",
    "System.Threading.Thread.Sleep",
    Runtime::Dotnet
)]
#[case::dotnet_async("MyApp!Orders+<Load>d__6.MoveNext", "MyApp.Orders.Load", Runtime::Dotnet)]
#[case::dotnet_nested("Interop/Sys.Write", "Interop.Sys.Write", Runtime::Dotnet)]
#[case::node("node:internal/timers:listOnTimeout:507", "node:internal/timers:listOnTimeout", Runtime::Node)]
#[case::node_module(
    "./node_modules/express/lib/router/layer.js:handle:86",
    "node_modules/express/lib/router/layer:handle",
    Runtime::Node
)]
#[case::node_mark(":(idle):0", "(idle)", Runtime::Node)]
#[case::node_compiler("(compiler)", "(compiler)", Runtime::Node)]
#[case::node_function_and_place("Module._compile module.js:652", "node:module:Module._compile", Runtime::Node)]
#[case::node_function_and_column("onread net.js:512:12", "node:net:onread", Runtime::Node)]
#[case::node_place_in_parentheses(
    "executeQuery (file:///srv/node_modules/kysely/dist/index.mjs:12:3)",
    "node_modules/kysely/dist/index:executeQuery",
    Runtime::Node
)]
#[case::node_path_with_a_blank("/my app/cart.js:total:12", "my app/cart:total", Runtime::Node)]
#[case::node_regexp(r"RegExp: \r\n?|\n", "RegExp", Runtime::Node)]
#[case::go_method("net/http.(*Client).Get", "net/http.Client.Get", Runtime::Go)]
#[case::go_closure(
    "github.com/mwitkow/go-conntrack.NewDialContextFunc.func1",
    "github.com/mwitkow/go-conntrack.NewDialContextFunc",
    Runtime::Go
)]
#[case::go_nested("net/http.(*Transport).dial.func1.2.gowrap3", "net/http.Transport.dial", Runtime::Go)]
#[case::go_generic("cmp.Less[go.shape.string]", "cmp.Less", Runtime::Go)]
#[case::go_version(
    "github.com/dgraph-io/badger/v4/table.(*Iterator).Valid",
    "github.com/dgraph-io/badger/table.Iterator.Valid",
    Runtime::Go
)]
#[case::go_escaped("gopkg.in/yaml%2ev3.(*parser).sequence", "gopkg.in/yaml.parser.sequence", Runtime::Go)]
#[case::ruby("ActiveRecord::Relation#exec_queries", "ActiveRecord::Relation#exec_queries", Runtime::Ruby)]
#[case::ruby_block("block (2 levels) in Redis::Client#call", "Redis::Client#call", Runtime::Ruby)]
#[case::ruby_anonymous("#<Module:0x007fec81ba9490>.decode", "Module.decode", Runtime::Ruby)]
#[case::php(r"Composer\Autoload\ClassLoader::loadClass", r"Composer\Autoload\ClassLoader::loadClass", Runtime::Php)]
#[case::php_with_place(r"App\Cart::total /srv/app/Cart.php:31", r"App\Cart::total", Runtime::Php)]
#[case::php_function_with_place("json_encode /srv/app/index.php", "json_encode", Runtime::Php)]
#[case::python(
    "_find_and_load (<frozen importlib._bootstrap>:1360)",
    "importlib._bootstrap._find_and_load",
    Runtime::Python
)]
fn takes_a_spelling_to_its_canonical_form(#[case] name: &str, #[case] text: &str, #[case] runtime: Runtime) {
    let frame = Frame::of(name, "");
    assert_eq!((frame.text.as_str(), frame.own), (text, Some(runtime)));
}

#[rstest]
#[case("loads", "json/decoder.py", "json.decoder.loads", Runtime::Python)]
#[case("get", "/usr/lib/python3.11/site-packages/redis/client.py", "redis.client.get", Runtime::Python)]
#[case("info", "/usr/lib/python3.11/logging/__init__.py", "logging.info", Runtime::Python)]
#[case("listOnTimeout", "node:internal/timers", "node:internal/timers:listOnTimeout", Runtime::Node)]
#[case("query", "/app/node_modules/pg/lib/client.js", "node_modules/pg/lib/client:query", Runtime::Node)]
#[case(
    "./node_modules/morgan/index.js:logger:103",
    "./node_modules/morgan/index.js",
    "node_modules/morgan/index:logger",
    Runtime::Node
)]
#[case("malloc", "malloc.c", "malloc", Runtime::Native)]
fn reads_the_module_from_the_file(
    #[case] name: &str,
    #[case] file: &str,
    #[case] text: &str,
    #[case] runtime: Runtime,
) {
    let frame = Frame::of(name, file);
    assert_eq!((frame.text.as_str(), frame.own), (text, Some(runtime)));
}

#[rstest]
#[case("malloc", "malloc")]
#[case("intel_idle.isra.32", "intel_idle")]
#[case("pthread_cond_wait@@GLIBC_2.3.2", "pthread_cond_wait")]
#[case("pthread_mutex_unlock@plt", "pthread_mutex_unlock")]
#[case("readdir_r$INODE64", "readdir_r")]
#[case("C.sqlite3_step", "sqlite3_step")]
fn leaves_a_bare_name_without_a_runtime(#[case] name: &str, #[case] text: &str) {
    let frame = Frame::of(name, "");
    assert_eq!((frame.text.as_str(), frame.own), (text, None));
}

#[test]
fn a_numbered_thread_is_no_method_of_ruby() {
    assert_ne!(Frame::of("GC_Thread#0", "").own, Some(Runtime::Ruby));
}

#[rstest]
#[case("[unknown]")]
#[case("0x7f25900008f0")]
#[case("[unknown <7f25900008f0>]")]
#[case("unix`0xfffffffffb800ca0")]
#[case("0x7f4a996a3f16 (libc.so.6)")]
#[case("libcrypto.so.3")]
#[case("libruby.so.3.3.9")]
#[case("php8.2")]
#[case(".unknown_Java")]
#[case("?!?")]
fn says_where_nobody_knows_what_ran(#[case] name: &str) {
    assert!(Frame::of(name, "").unresolved);
}

#[rstest]
#[case("java/util/HashMap.resize", "java.util.HashMap.resize")]
#[case(
    "java/lang/invoke/LambdaForm$DMH+0x0000020c2c001c00/1535128843.invokeSpecial",
    "java.lang.invoke.LambdaForm$DMH.invokeSpecial"
)]
#[case("com/x/Foo$$Lambda$14/0x0000000800c5a840.run", "com.x.Foo$$Lambda.run")]
#[case("jdk/internal/reflect/GeneratedMethodAccessor52.invoke", "jdk.internal.reflect.GeneratedMethodAccessor.invoke")]
#[case("com/x/Foo$$Lambda_.run", "com.x.Foo$$Lambda.run")]
#[case("com/x/Foo.go_[j]", "com.x.Foo.go")]
#[case("com/x/Foo.go_[0]", "com.x.Foo.go")]
#[case("com/x/Foo.go_[1]", "com.x.Foo.go")]
#[case("byte[]_[i]", "byte[]")]
#[case("jdk/internal/reflect/GeneratedMethodAccessor_.invoke", "jdk.internal.reflect.GeneratedMethodAccessor.invoke")]
#[case("com/x/Svc$$EnhancerBySpringCGLIB$$_.go", "com.x.Svc$$EnhancerBySpringCGLIB$$*.go")]
#[case("com/sun/proxy/$Proxy12.call", "com.sun.proxy.$Proxy*.call")]
#[case("com/x/Svc$$EnhancerBySpringCGLIB$$1a2b3c.go", "com.x.Svc$$EnhancerBySpringCGLIB$$*.go")]
#[case("core::fmt::write::h0123456789abcdef", "core::fmt::write")]
#[case("intel_idle.isra.32", "intel_idle")]
#[case("main.run.func1.2", "main.run.func*")]
#[case("main.run.func12", "main.run.func*")]
#[case("main.functional", "main.functional")]
#[case("slices.Sort[go.shape.[]string,go.shape.string]", "slices.Sort[…]")]
#[case("slices.Sort[...]", "slices.Sort[…]")]
#[case("./lib/app.js:handle:86", "lib/app.js:handle")]
#[case("lib/app.js:handle:90", "lib/app.js:handle")]
#[case("main (app/main.py:49)", "main (app/main.py)")]
#[case("./node_modules/express/lib/router/layer.js:handle:86", "node_modules/express/lib/router/layer.js:handle")]
#[case("malloc", "malloc")]
#[case("std::vector<int>::push_back", "std::vector<int>::push_back")]
fn joins_one_function_under_one_key(#[case] name: &str, #[case] expected: &str) {
    assert_eq!(key(name), expected);
}

#[test]
fn a_key_is_its_own_key() {
    for name in ["java/util/HashMap.resize", "main.run.func1", "a::b::h0123456789abcdef", "x.js:f:3"] {
        let once = key(name).into_owned();
        assert_eq!(key(&once), once);
    }
}
