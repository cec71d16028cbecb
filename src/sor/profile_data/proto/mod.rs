//! The messages of Pyroscope's push and query services and of OpenTelemetry's profiles, with just the fields that are used
//! here. Their JSON is protobuf's form of it.
//!
//! The Rust files are generated from the `.proto` files beside them; a test fails when they are stale, and
//! `UPDATE_GENERATED=1 cargo test --lib proto` writes them anew.

mod json;

/// pprof, for answers in JSON.
pub(crate) mod google {
    /// Version 1.
    #[expect(unreachable_pub, reason = "generated")]
    pub(crate) mod v1 {
        include!("google.v1.rs");
    }
}

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
    #[expect(unreachable_pub, clippy::trivially_copy_pass_by_ref, reason = "generated")]
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
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use protox::prost_reflect::prost_types::FieldDescriptorProto;
    use protox::prost_reflect::prost_types::field_descriptor_proto::{Label, Type};

    use super::querier::v1::SeriesRequest;

    /// How serde reads a field of protobuf's JSON form, and writes it if it is part of an answer.
    fn json_attribute(field: &FieldDescriptorProto, is_written: bool) -> String {
        let mut parts = Vec::new();
        if is_written {
            let json_name = field.json_name();
            parts.push(format!("rename = \"{json_name}\""));
            if json_name != field.name() {
                // Readers of protobuf's JSON form take both names.
                parts.push(format!("alias = \"{}\"", field.name()));
            }
            parts.push("skip_serializing_if = \"super::super::json::is_default\"".to_owned());
        }
        let functions = match (field.r#type(), field.label()) {
            (Type::Int64 | Type::Uint64 | Type::Fixed64, Label::Repeated) => "numbers",
            (Type::Int64 | Type::Uint64 | Type::Fixed64, _) if field.oneof_index.is_some() => "some_number",
            (Type::Int64 | Type::Uint64 | Type::Fixed64, _) => "number",
            (Type::Enum, _) if is_written => "profile_format",
            _ => "",
        };
        if !functions.is_empty() {
            let how = if is_written { "with" } else { "deserialize_with" };
            let function = if is_written { "" } else { "::deserialize" };
            parts.push(format!("{how} = \"super::super::json::{functions}{function}\""));
        }
        if parts.is_empty() { String::new() } else { format!("#[serde({})]", parts.join(", ")) }
    }

    /// Writes the generated files into a fresh folder and gives back names and texts.
    fn generate() -> Vec<(String, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sor/profile_data/proto");
        let files = protox::compile(["types.proto", "querier.proto", "push.proto", "otlp.proto"], [folder]).unwrap();
        let out = tempfile::tempdir().unwrap();
        let mut config = prost_build::Config::new();
        config.out_dir(out.path()).bytes([".push"]);
        // Queries and OpenTelemetry's profiles come as JSON too, and answers to queries leave as JSON.
        config.message_attribute(".otlp", "#[derive(serde::Deserialize)]");
        for package in [".querier", ".types", ".google"] {
            config.message_attribute(package, "#[derive(serde::Serialize, serde::Deserialize)]");
            config.message_attribute(package, "#[serde(default)]");
        }
        config.message_attribute(".otlp", "#[serde(rename_all = \"camelCase\", default)]");
        for file in &files.file {
            for message in file.message_type.iter().filter(|_| file.package() != "push.v1") {
                for field in &message.field {
                    let path = format!(".{}.{}.{}", file.package(), message.name(), field.name());
                    config.field_attribute(path, json_attribute(field, file.package() != "otlp.v1"));
                }
            }
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
        assert_eq!(generated.len(), 5);
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
