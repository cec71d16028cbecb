//! The blocks of an answer: an object whose members keep the order of the request.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Kinds of profile and their blocks, in the order asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocks<B>(pub Vec<(String, B)>);

impl<B: Serialize> Serialize for Blocks<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(kind, block)| (kind, block)))
    }
}

impl<'de, B: Deserialize<'de>> Deserialize<'de> for Blocks<B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<B>(PhantomData<B>);

impl<'de, B: Deserialize<'de>> Visitor<'de> for Members<B> {
    type Value = Blocks<B>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of blocks by kind of profile")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Blocks<B>, A::Error> {
        let mut blocks = Vec::new();
        while let Some(member) = map.next_entry()? {
            blocks.push(member);
        }
        Ok(Blocks(blocks))
    }
}
