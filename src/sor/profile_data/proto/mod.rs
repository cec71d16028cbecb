//! The messages of Pyroscope's push and query services and of OpenTelemetry's profiles, with just the fields that are used
//! here.
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

/// What exporters of OpenTelemetry send.
pub(crate) mod otlp {
    /// As one package.
    #[expect(unreachable_pub, clippy::struct_field_names, reason = "generated")]
    pub(crate) mod v1 {
        include!("otlp.v1.rs");
    }

    /// 64-bit integers in protobuf's JSON form: numbers, or texts of digits.
    mod numbers {
        use std::str::FromStr;

        use serde::{Deserialize, Deserializer};

        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written<T> {
            Number(T),
            Text(String),
        }

        impl<T: FromStr<Err: std::fmt::Display>> Written<T> {
            fn read<E: serde::de::Error>(self) -> Result<T, E> {
                match self {
                    Self::Number(number) => Ok(number),
                    Self::Text(text) => text.parse().map_err(|e| E::custom(format_args!("{text:?}: {e}"))),
                }
            }
        }

        pub(super) fn one<'de, T, D>(deserializer: D) -> Result<T, D::Error>
        where
            T: Deserialize<'de> + FromStr<Err: std::fmt::Display>,
            D: Deserializer<'de>,
        {
            Written::deserialize(deserializer)?.read()
        }

        pub(super) fn some<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
        where
            T: Deserialize<'de> + FromStr<Err: std::fmt::Display>,
            D: Deserializer<'de>,
        {
            one(deserializer).map(Some)
        }

        pub(super) fn all<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
        where
            T: Deserialize<'de> + FromStr<Err: std::fmt::Display>,
            D: Deserializer<'de>,
        {
            Vec::<Written<T>>::deserialize(deserializer)?.into_iter().map(Written::read).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::querier::v1::SeriesRequest;

    /// Writes the generated files into a fresh folder and gives back names and texts.
    fn generate() -> Vec<(String, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sor/profile_data/proto");
        let files = protox::compile(["types.proto", "querier.proto", "push.proto", "otlp.proto"], [folder]).unwrap();
        let out = tempfile::tempdir().unwrap();
        let mut config = prost_build::Config::new();
        config.out_dir(out.path()).bytes([".push", ".querier", ".types"]);
        // OpenTelemetry's profiles come as JSON too, in protobuf's form of it.
        config.message_attribute(".otlp", "#[derive(serde::Deserialize)]");
        config.message_attribute(".otlp", "#[serde(rename_all = \"camelCase\", default)]");
        for (field, read) in [
            ("Profile.time_unix_nano", "one"),
            ("Profile.duration_nano", "one"),
            ("Profile.period", "one"),
            ("Sample.values", "all"),
            ("Sample.timestamps_unix_nano", "all"),
            ("Line.line", "one"),
            ("Function.start_line", "one"),
            ("AnyValue.int_value", "some"),
        ] {
            let read = format!("#[serde(deserialize_with = \"super::numbers::{read}\")]");
            config.field_attribute(format!(".otlp.v1.{field}"), read);
        }
        config.compile_fds(files).unwrap();
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
        assert_eq!(generated.len(), 4);
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
