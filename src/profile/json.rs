//! Lists in JSON, item by item: what is counted or dropped is never held as a whole.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::limits::ReadError;

/// Calls `take` with each item of a list. `null` is an empty list.
///
/// # Errors
/// The error of `take`, or no such list; `at` is a line of it.
pub(super) fn each<'j, T: Deserialize<'j>>(
    list: &'j RawValue,
    take: impl FnMut(T) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut failed = None;
    let items = Items { take, failed: &mut failed, of: PhantomData };
    let done = serde_json::Deserializer::from_str(list.get()).deserialize_any(items);
    match (failed, done) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(malformed(&error)),
        (None, Ok(())) => Ok(()),
    }
}

/// JSON that is not of the shape it should have.
pub(super) fn malformed(error: &serde_json::Error) -> ReadError {
    ReadError::malformed(format!("not the JSON that it should be: {error}"), error.line())
}

struct Items<'f, F, T> {
    take: F,
    /// Why `take` stopped.
    failed: &'f mut Option<ReadError>,
    of: PhantomData<T>,
}

impl<'j, T: Deserialize<'j>, F: FnMut(T) -> Result<(), ReadError>> Visitor<'j> for Items<'_, F, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'j>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            if let Err(error) = (self.take)(item) {
                *self.failed = Some(error);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
