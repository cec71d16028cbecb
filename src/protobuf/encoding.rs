/// The encoding of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Protobuf's own.
    Proto,
    /// JSON.
    Json,
}

impl Encoding {
    /// The encoding that a content type means.
    ///
    /// # Errors
    /// Neither of them. The text says that protobuf is sent as `proto`.
    pub fn of(content_type: Option<&str>, proto: &str) -> Result<Self, String> {
        let essence = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/proto" | "application/protobuf" | "application/x-protobuf" => Ok(Self::Proto),
            "application/json" => Ok(Self::Json),
            other => Err(format!("the content type {other:?} is not taken: send {proto} or application/json")),
        }
    }
}
