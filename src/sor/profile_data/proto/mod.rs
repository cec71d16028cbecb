//! The messages of Pyroscope's push and query services, with just the fields that are used here.
//!
//! The Rust files are generated from the `.proto` files beside them; a test fails when they are stale, and
//! `UPDATE_GENERATED=1 cargo test --lib proto` writes them anew.

/// Labels and series.
pub(crate) mod types {
    /// Version 1.
    #[expect(unreachable_pub, reason = "generated")]
    pub(crate) mod v1 {
        include!("types.v1.rs");
    }
}

/// Queries.
pub(crate) mod querier {
    /// Version 1.
    #[expect(unreachable_pub, reason = "generated")]
    pub(crate) mod v1 {
        include!("querier.v1.rs");
    }
}

/// What SDKs push.
pub(crate) mod push {
    /// Version 1.
    #[expect(unreachable_pub, reason = "generated")]
    pub(crate) mod v1 {
        include!("push.v1.rs");
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::querier::v1::SeriesRequest;

    /// Writes the generated files into a fresh folder and gives back names and texts.
    fn generate() -> Vec<(String, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sor/profile_data/proto");
        let files = protox::compile(["types.proto", "querier.proto", "push.proto"], [folder]).unwrap();
        let out = tempfile::tempdir().unwrap();
        prost_build::Config::new().out_dir(out.path()).bytes(["."]).compile_fds(files).unwrap();
        let mut generated: Vec<_> = std::fs::read_dir(out.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        generated.sort();
        generated
    }

    #[test]
    fn the_committed_messages_are_those_of_the_proto_files() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sor/profile_data/proto");
        let generated = generate();
        assert_eq!(generated.len(), 3);
        for (name, text) in generated {
            let path = folder.join(&name);
            if std::env::var_os("UPDATE_GENERATED").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == text, "{name} is stale: run UPDATE_GENERATED=1 cargo test --lib proto");
        }
    }

    #[test]
    fn writes_a_request_as_the_server_reads_it() {
        let request = SeriesRequest {
            matchers: Vec::new(),
            label_names: vec!["service_name".into(), "__profile_type__".into()],
            start: 1_795_175_940_000,
            end: 1_795_176_600_000,
        };
        let recorded =
            b"\x12\x0cservice_name\x12\x10__profile_type__\x18\xa0\xff\xcb\xc6\x9f\x34\x20\xc0\xa3\xf4\xc6\x9f\x34";
        assert_eq!(request.encode_to_vec(), recorded);
    }
}
