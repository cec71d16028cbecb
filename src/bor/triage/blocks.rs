//! The blocks of an answer: an object whose members keep the order asked.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::Block;

/// Kinds of profile and their blocks, in the order asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks(pub Vec<(String, Block)>);

impl Serialize for Blocks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(kind, block)| (kind, block)))
    }
}

impl<'de> Deserialize<'de> for Blocks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Blocks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of blocks by kind of profile")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Blocks, A::Error> {
        let mut blocks = Vec::new();
        while let Some(member) = map.next_entry()? {
            blocks.push(member);
        }
        Ok(Blocks(blocks))
    }
}
