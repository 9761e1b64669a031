//! Lists and numbers that are refused while they are read, not when they have filled the memory.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::Value;

use super::Ext;
use super::limits;

/// Room that is made before the first element is read.
const AT_FIRST: usize = 1024;

/// Reads a list of at most `MOST` elements.
pub(crate) fn at_most<'de, D, T, const MOST: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T, const MOST: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for List<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut read = Vec::with_capacity(list.size_hint().unwrap_or_default().min(AT_FIRST));
            while let Some(element) = list.next_element()? {
                if read.len() == MOST {
                    return Err(A::Error::custom(format!("a list has more than {MOST} elements")));
                }
                read.push(element);
            }
            Ok(read)
        }
    }

    deserializer.deserialize_seq(List::<T, MOST>(PhantomData))
}

/// Reads a number of at most `MOST`.
pub(super) fn no_more_than<'de, D, const MOST: u64>(deserializer: D) -> Result<u64, D::Error>
where
    D: Deserializer<'de>,
{
    let number = u64::deserialize(deserializer)?;
    if number <= MOST { Ok(number) } else { Err(D::Error::custom(too_high(number, MOST))) }
}

/// Reads a number of at most `MOST`, or none.
pub(super) fn none_or_no_more_than<'de, D, const MOST: u64>(deserializer: D) -> Result<Option<u64>, D::Error>
where
    D: Deserializer<'de>,
{
    let number = Option::<u64>::deserialize(deserializer)?;
    match number.filter(|number| *number > MOST) {
        Some(high) => Err(D::Error::custom(too_high(high, MOST))),
        None => Ok(number),
    }
}

fn too_high(number: u64, most: u64) -> String {
    format!("{number} is too high: expected at most {most}")
}

/// Reads members that may be ignored, at most [`limits::EXT_VALUES`] values of them.
pub(super) fn ext<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ext>, D::Error> {
    let left = Cell::new(limits::EXT_VALUES);
    match (Counted { left: &left }).deserialize(deserializer)? {
        Value::Object(members) => Ok(Some(members)),
        Value::Null => Ok(None),
        _ => Err(D::Error::custom("what may be ignored has no names")),
    }
}

/// Reads a JSON value and counts its parts.
#[derive(Clone, Copy)]
struct Counted<'a> {
    left: &'a Cell<usize>,
}

impl Counted<'_> {
    fn count<E: de::Error>(self) -> Result<(), E> {
        let most = limits::EXT_VALUES;
        let left = self.left.get().checked_sub(1);
        self.left
            .set(left.ok_or_else(|| E::custom(format!("what may be ignored has more than {most} values")))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(element) = list.next_element_seed(self)? {
            read.push(element);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut read = Ext::new();
        while let Some(name) = map.next_key::<String>()? {
            read.insert(name, map.next_value_seed(self)?);
        }
        Ok(Value::Object(read))
    }
}
