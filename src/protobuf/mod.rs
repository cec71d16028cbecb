//! What receivers of protobuf messages over HTTP share: the encodings of a message, the form of numbers in JSON, and a check
//! of a message before it is decoded.

mod encoding;
pub mod json;
pub mod shape;

pub use encoding::Encoding;
