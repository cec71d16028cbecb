//! What frames tell of the cause of their category's ticks.

use std::collections::BTreeSet;

use super::*;

#[rstest]
#[case::crypto("crypto", &[
    ("crypto/tls.(*Conn).HandshakeContext", "handshake"), ("crypto/tls.(*clientHandshakeStateTLS13).handshake", "handshake"),
    ("crypto/x509.(*Certificate).CheckSignatureFrom", "handshake"), ("sun/security/ssl/ClientHello$ClientHelloMessage.<init>", "handshake"),
    ("SSL_do_handshake", "handshake"), ("crypto/internal/fips140/nistec.(*P256Point).ScalarMult", "signing"),
    ("github.com/decred/dcrd/dcrec/secp256k1/v4.(*FieldVal).SquareVal", "signing"), ("sun/security/rsa/RSACore.crtCrypt", "signing"),
    ("golang.org/x/crypto/bcrypt.CompareHashAndPassword", "password_hash"), ("crypto/sha256.block", "digest"),
    ("java/security/MessageDigest.update", "digest"), ("crypto/internal/fips140/aes/gcm.gcmAesEnc", "encryption"),
    ("crypto/tls.(*halfConn).decrypt", "encryption"), ("node:internal/crypto/cipher:update:202", "encryption"),
    ("node:internal/crypto/keygen:generateKeyPairSync:96", "signing"),
    ("_aesni_ctr32_ghash_6x (libcrypto.so.3)", "encryption"), ("crypto/internal/fips140/aes.cbcEncrypt", "slow_cipher"),
    ("com/sun/crypto/provider/CipherBlockChaining.implEncrypt", "slow_cipher"), ("DES_encrypt1", "slow_cipher"),
    ("_encipher (/shop/node_modules/bcryptjs/umd/index.js:9)", "password_hash"), ("_update (/shop/node_modules/node-forge/lib/sha256.js:9)", "crypto_in_script"),
    ("load_default_certs (ssl.py:9)", "tls_context"), ("crypto/x509.(*CertPool).AppendCertsFromPEM", "tls_context"), ("node:_tls_common:createSecureContext:9", "tls_context"),
    ("node:internal/crypto/keys:createPrivateKey:9", "key_parsing"), ("java/security/KeyFactory.generatePrivate", "key_parsing"),
    ("RSAAlgorithm.sign (jwt/algorithms.py:683)", "signing"), ("HMACAlgorithm.sign (jwt/algorithms.py:9)", "digest"), ("node:_tls_wrap:TLSSocket._start:9", "handshake"),
])]
#[case::disk_io("disk_io", &[
    ("os.Stat", "file_stat"), ("vfs_getattr_[k]", "file_stat"), ("path_lookupat_[k]", "file_stat"), ("java/io/UnixFileSystem.getBooleanAttributes0", "file_stat"),
    ("os.(*File).readdir", "directory_walk"), ("ext4_readdir_[k]", "directory_walk"), ("golang.org/x/sys/unix.Pread", "file_read"),
    ("vfs_read_[k]", "file_read"), ("sun/nio/ch/FileDispatcherImpl.pread0", "file_read"), ("os.(*File).Write", "file_write"),
    ("vfs_write_[k]", "file_write"), ("sun/nio/ch/FileChannelImpl.force", "file_sync"), ("syscall.Fdatasync", "file_sync"), ("os.OpenFile", "file_open"),
    ("__GI_fdatasync", "file_sync"), ("__GI___libc_open", "file_open"),
])]
#[case::compression("compression", &[
    ("compress/flate.NewWriter", "compressor_made"), ("compress/flate.(*compressor).init", "compressor_made"), ("java/util/zip/Deflater.<init>", "compressor_made"),
    ("compress/flate.(*compressor).deflate", "compressing"), ("java/util/zip/Deflater.deflateBytesBytes", "compressing"),
    ("compress/flate.(*decompressor).huffmanBlock", "decompressing"), ("inflate", "decompressing"), ("ZSTD_compressBlock_fast", "compressing"),
    ("github.com/ulikunitz/xz/lzma.newHashTable", "compressor_made"), ("github.com/andybalholm/brotli.(*h5).Initialize", "compressor_made"),
    ("longest_match (/shop/node_modules/pako/dist/pako.js:1)", "compressing"), ("inflt (/shop/node_modules/fflate/lib/node.cjs:2)", "decompressing"),
])]
#[case::database("database", &[
    ("database/sql.(*DB).conn", "db_connect"), ("com/zaxxer/hikari/pool/HikariPool.getConnection", "db_connect"),
    ("github.com/lib/pq.(*conn).prepareTo", "db_prepare"), ("ActiveRecord::ConnectionAdapters::ConnectionPool#checkout", "db_connect"),
    ("Arel::Visitors::ToSql#visit_Arel_Nodes_In", "db_prepare"), ("modernc.org/sqlite/lib.Xsqlite3_step", "db_embedded"),
    ("sqlite3VdbeExec", "db_embedded"), ("org/h2/mvstore/Cursor.hasNext", "db_embedded"), ("org/postgresql/core/v3/QueryExecutorImpl.execute", "db_fetch"),
    ("org/hibernate/event/internal/AbstractFlushingEventListener.flushEntities", "orm_flush"), ("database/sql.(*Rows).Scan", "row_mapping"),
    ("ActiveRecord::ConnectionAdapters::PostgreSQL::OID::DateTime#cast_value", "row_mapping"),
    ("BaseConnection._connect_gen (psycopg/_connection_base.py:9)", "db_connect"), ("ModelObjectCursorWrapper.process_row (peewee.py:7)", "row_mapping"),
    ("SessionCache.flush (pony/orm/core.py:2731)", "orm_flush"), ("org/jdbi/v3/core/mapper/GetterMapper.map", "row_mapping"),
])]
#[case::serialization("serialization", &[
    ("encoding/json.Marshal", "json_encode"), ("encoding/json.(*decodeState).object", "json_decode"), ("JSON.parse", "json_decode"), ("JSON.stringify", "json_encode"),
    ("com/fasterxml/jackson/databind/ObjectMapper.<init>", "codec_built"), ("com/fasterxml/jackson/core/json/UTF8StreamJsonParser.nextToken", "json_decode"),
    ("google.golang.org/protobuf/internal/impl.consumeMessageInfo", "protobuf_decode"), ("google.golang.org/protobuf/proto.Marshal", "protobuf_encode"),
    ("github.com/golang/protobuf/proto.makeUnmarshalMessageSlicePtr.func1", "protobuf_decode"), ("github.com/golang/protobuf/proto.(*unmarshalInfo).unmarshal", "protobuf_decode"),
    ("github.com/gogo/protobuf/proto.(*marshalInfo).size", "protobuf_encode"), ("github.com/jaegertracing/jaeger/model.(*Span).XXX_Size", "protobuf_encode"),
    ("tostring (xml/etree/ElementTree.py:1098)", "xml_encode"), ("iterparse (xml/etree/ElementTree.py:1230)", "xml_decode"),
    ("org/glassfish/jaxb/runtime/v2/runtime/output/UTF8XmlOutput.doText", "xml_encode"), ("com/sun/xml/internal/stream/writers/XMLStreamWriterImpl.writeAttribute", "xml_encode"),
    ("_pickle_loads_impl (_pickle.c:7938)", "objects_decode"), ("ForkingPickler.dumps (multiprocessing/reduction.py:51)", "objects_encode"),
    ("encoding/xml.(*Decoder).getc", "xml_decode"), ("java/io/ObjectOutputStream.writeObject0", "objects_encode"),
    ("java/io/ObjectInputStream.readObject0", "objects_decode"), ("gopkg.in/yaml%2ev2.yaml_parser_parse_node", "yaml_decode"),
    ("Pickler.dump (cloudpickle/cloudpickle.py:9)", "objects_encode"), ("Unpickler.load (dill/_dill.py:9)", "objects_decode"),
    ("_emit (xmltodict.py:9)", "xml_encode"), ("MapEncoder.<locals>.EncodeField (protobuf/internal/encoder.py:929)", "protobuf_encode"),
    ("Ae.j2x (/shop/node_modules/fast-xml-parser/lib/fxp.cjs:1)", "xml_encode"), ("Bt (/shop/node_modules/fast-xml-parser/lib/fxp.cjs:1)", "xml_decode"),
    ("write (/shop/node_modules/sax/lib/sax.js:1)", "xml_decode"), ("DictReader.__next__ (csv.py:9)", "csv_decode"), ("DictWriter.writerows (csv.py:9)", "csv_encode"),
    ("encoding/csv.(*Reader).readRecord", "csv_decode"), ("unparse (/shop/node_modules/papaparse/papaparse.js:1)", "csv_encode"),
    ("writeNode (/shop/node_modules/js-yaml/lib/dumper.js:1)", "yaml_encode"), ("parseNode (/shop/node_modules/js-yaml/lib/loader.js:1)", "yaml_decode"),
    ("Emitter.analyze_scalar (yaml/emitter.py:9)", "yaml_encode"), ("gopkg.in/yaml%2ev3.yaml_emitter_emit", "yaml_encode"),
    ("_upb_Decoder_DecodeMessage", "protobuf_decode"), ("collect_model_fields (pydantic/_internal/_fields.py:9)", "codec_built"),
    ("addNames (/shop/node_modules/ajv/dist/compile/codegen/index.js:1)", "codec_built"),
    ("ele (/shop/node_modules/xmlbuilder2/lib/builder/XMLBuilderImpl.js:1)", "xml_encode"),
])]
#[case::regex("regex", &[
    ("regexp.Compile", "regex_compile"), ("regexp/syntax.Parse", "regex_compile"), ("java/util/regex/Pattern.compile", "regex_compile"),
    ("regexp.(*Regexp).doExecute", "regex_match"), ("java/util/regex/Pattern$Slice.match", "regex_match"), ("RegExp: ^(a+)+$", "regex_match"),
    ("System.Text.RegularExpressions!Regex.Match", "regex_match"), ("re_search", "regex_match"),
    ("github.com/dlclark/regexp2/syntax.IsWordChar", "regex_match"), ("org/joni/ByteCodeMachine.execute", "regex_match"),
])]
#[case::lock_contention("lock_contention", &[
    ("take_gil (ceval_gil.c:250)", "interpreter_lock"), ("PyEval_RestoreThread", "interpreter_lock"), ("runtime.lock2", "runtime_lock"),
])]
#[case::scheduling("scheduling", &[("runtime.findRunnable", "looking_for_work"), ("runtime.netpoll", "looking_for_work")])]
#[case::gc_pressure("gc_pressure", &[
    ("runtime.gcAssistAlloc", "gc_assist"), ("runtime.gcDrainMarkWorkerIdle", "gc_idle_mark"), ("runtime.gcDrain", "gc_mark"), ("runtime.scanobject", "gc_mark"),
    ("runtime.(*mspan).sweep", "gc_sweep"), ("runtime.bgsweep", "gc_sweep"), ("G1ParScanThreadState::copy_to_survivor_space", "gc_evacuation"),
    ("G1CMTask::do_marking_step", "gc_mark"), ("WKS::gc_heap::mark_object_simple", "gc_mark"),
])]
#[case::class_loading("class_loading", &[
    ("java/lang/ClassLoader.loadClass", "class_lookup"), ("do_lookup_x", "class_lookup"), ("java/lang/ClassLoader.defineClass1", "class_definition"),
    ("jdk/internal/org/objectweb/asm/ClassWriter.visitMethod", "class_definition"), ("node:internal/modules/cjs/loader:Module._compile", "module_import"),
    ("<module> (numpy/__init__.py:12)", "module_import"),
])]
#[case::exception("exception", &[
    ("java/lang/Throwable.fillInStackTrace", "stack_trace"), ("github.com/pkg/errors.callers", "stack_trace"), ("runtime.gopanic", "unwinding"),
    ("_Unwind_RaiseException", "unwinding"),
])]
#[case::allocation("allocation", &[
    ("runtime.mallocgcSmallScanNoHeader", "small_allocation"), ("runtime.(*mheap).grow", "heap_growth"),
    ("_int_free", "freeing"), ("operator delete", "freeing"), ("malloc_consolidate", "freeing"),
])]
#[case::logging("logging", &[
    ("github.com/rs/zerolog.(*Event).Str", "log_format"), ("github.com/go-kit/log.Caller.func1", "log_caller"), ("consoleCall", "log_write"),
    ("org/apache/logging/log4j/core/impl/Log4jLogEvent.calcLocation", "log_caller"), ("log.formatHeader", "log_format"),
    ("log/slog.Record.Source", "log_caller"), ("defaultParseCallStack (/shop/node_modules/log4js/lib/logger.js:1)", "log_caller"),
    ("renderPlannedLine (/shop/node_modules/tslog/esm/render/json.js:1)", "log_format"), ("FileSink.write (loguru/_file_sink.py:9)", "log_write"),
])]
fn a_name_tells_what_the_ticks_of_its_category_come_from(#[case] of: &str, #[case] names: &[(&str, &str)]) {
    let rules = Rules::builtin();
    for (name, cause) in names {
        let said = rules.explain(name, "");
        assert_eq!((said.category.map(Category::as_str), said.cause.as_deref()), (Some(of), Some(*cause)), "{name}");
    }
}

#[rstest]
#[case::no_category("com/example/Shop.handshake")]
#[case::another_category("runtime.schedule")]
#[case::untold("encoding/hex.DecodeString")]
#[case::a_lock_of_the_program("PyThread_acquire_lock_timed (libpython3.11.so.1.0)")]
#[case::memory_of_the_kernel("kmem_cache_free_[k]")]
#[case::a_field_of_a_oneof("google.golang.org/protobuf/internal/impl.(*MessageInfo).initOneofFieldCoders.func2")]
#[case::a_mapper_without_a_session("gorm.io/gorm.(*DB).Save")]
fn a_name_without_a_cause_tells_none(#[case] name: &str) {
    assert_eq!(Rules::builtin().explain(name, "").cause, None);
}

#[test]
fn causes_are_a_list_of_ids_with_words_that_stand_in_a_sentence() {
    let rules = Rules::builtin();
    let ids: BTreeSet<_> = rules.causes().iter().map(|cause| &*cause.id).collect();
    assert_eq!(ids.len(), rules.causes().len());
    for cause in rules.causes() {
        assert!(cause.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()), "{}", cause.id);
        assert!(!cause.phrase.is_empty() && !cause.phrase.ends_with('.'), "{}", cause.id);
        let texts = cause.advice.iter().map(|advice| advice.recommend("Cart.toJson", "12 % of the CPU time"));
        for text in texts {
            assert!(text.contains("Cart.toJson") && text.contains("12 % of the CPU time"), "{text}");
        }
    }
}

const CAUSE: &str = "[[cause]]\nid = \"sealing\"\ncategory = \"crypto\"\nphrase = \"sealing\"\n";
const RULE: &str = "[[rule]]\nid = \"t\"\nruntime = \"go\"\nnames = [\"github.com/x/box.Seal\"]\n";

fn loaded(text: &str) -> Result<Rules, RuleError> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.toml"), text).unwrap();
    Rules::load(dir.path())
}

#[test]
fn a_rule_yields_to_causes_that_are_known() {
    let yielding =
        |cause: &str| loaded(&format!("{RULE}category = \"crypto\"\nyields_to_causes = [\"{cause}\"]\n{CAUSE}"));
    assert!(yielding("sealing").is_ok());
    let said = yielding("ceiling").unwrap_err().to_string();
    assert!(said.contains("yields to the cause \"ceiling\", which is unknown"), "{said}");
}

#[test]
fn a_rule_may_carry_the_cause_of_its_claims_wherever_that_is_listed() {
    let rules = loaded(&format!("{RULE}category = \"crypto\"\ncause = \"sealing\"\n{CAUSE}")).unwrap();
    assert_eq!(rules.explain("github.com/x/box.Seal", "").cause.as_deref(), Some("sealing"));
}

#[rstest]
#[case::of_another_category(
    "regex",
    "sealing",
    "",
    "the cause \"sealing\" is one of crypto, and the rule claims another"
)]
#[case::unknown("crypto", "ceiling", "", "the cause \"ceiling\" is unknown")]
#[case::twice("crypto", "sealing", CAUSE, "the cause \"sealing\" is given twice")]
#[case::without_place(
    "crypto",
    "sealing",
    "advice = \"Seal less.\"",
    "the cause \"sealing\" has advice without {place}"
)]
#[case::idle_steps("crypto", "sealing", "steps = [\"x\"]", "the cause \"sealing\" has steps without advice")]
#[case::shared_name(
    "crypto",
    "sealing",
    "names = { go = [\"crypto/sha1.**\"] }",
    "has the pattern \"crypto/sha1.**\" of the cause"
)]
fn a_cause_that_cannot_be_meant_is_refused_by_name(
    #[case] category: &str,
    #[case] of_rule: &str,
    #[case] more: &str,
    #[case] expected: &str,
) {
    let rule = format!("{RULE}category = \"{category}\"\ncause = \"{of_rule}\"\n");
    let error = loaded(&format!("{rule}{CAUSE}{more}")).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}
