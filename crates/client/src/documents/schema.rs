//! The number of the schema, which every document carries.

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The schema of the documents in this crate. Fields may be added to it; a change is a new number.
const SCHEMA: u32 = 1;

/// The number of the schema that a document follows. It reads as nothing but this crate's own
/// number, so that a document of a later schema is refused and not misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SchemaVersion;

impl Serialize for SchemaVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(SCHEMA)
    }
}

impl<'de> Deserialize<'de> for SchemaVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            SCHEMA => Ok(Self),
            other => {
                Err(D::Error::invalid_value(Unexpected::Unsigned(other.into()), &"a document of schema 1"))
            }
        }
    }
}

impl PartialSchema for SchemaVersion {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .enum_values(Some([SCHEMA]))
            .description(Some("The number of the schema that the document follows."))
            .into()
    }
}

impl ToSchema for SchemaVersion {}
