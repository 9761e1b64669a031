//! Vectors in memory: `.npy` ⇄ `Array2<f32>`, by ndarray-npy.
//!
//! Callers have checked that the file is as long as its header says, so the memory allocated here
//! is filled.

use ndarray::Array2;
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use super::LocalVaultError;
use cogzy_engine::model::VaultPath;

/// Reads an array of 16, 32 or 64-bit floats.
pub(super) fn read(path: &VaultPath, dtype: &str, bytes: &[u8]) -> Result<Array2<f32>, LocalVaultError> {
    let damaged = |error: ndarray_npy::ReadNpyError| LocalVaultError::Damaged {
        path: path.clone(),
        why: error.to_string(),
    };
    match dtype.get(1..) {
        Some("f4") => Array2::<f32>::read_npy(bytes).map_err(damaged),
        Some("f8") => {
            #[expect(clippy::cast_possible_truncation, reason = "vectors are had as 32-bit floats")]
            let narrow = |value: f64| value as f32;
            Ok(Array2::<f64>::read_npy(bytes).map_err(damaged)?.mapv(narrow))
        }
        Some("f2") => {
            // The same bytes as 16-bit integers: the header differs in one letter.
            let mut bytes = bytes.to_vec();
            let at = bytes.windows(3).position(|window| window == b"f2'");
            if let Some(letter) = at.and_then(|at| bytes.get_mut(at)) {
                *letter = b'u';
            }
            Ok(Array2::<u16>::read_npy(bytes.as_slice()).map_err(damaged)?.mapv(half))
        }
        _ => Err(LocalVaultError::Kind {
            path: path.clone(),
            why: format!("it holds elements of type {dtype}: vectors are of f2, f4 or f8"),
        }),
    }
}

/// The array as a file of 32-bit floats.
pub(super) fn bytes(path: &VaultPath, vectors: &Array2<f32>) -> Result<Vec<u8>, LocalVaultError> {
    let mut bytes = Vec::with_capacity(vectors.len() * 4 + 128);
    vectors
        .write_npy(&mut bytes)
        .map_err(|error| LocalVaultError::Kind { path: path.clone(), why: error.to_string() })?;
    Ok(bytes)
}

/// The value of a 16-bit float of IEEE 754.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    match exponent {
        // Subnormal: a multiple of 2^-24.
        0 => {
            #[expect(clippy::cast_precision_loss, reason = "ten bits")]
            let value = fraction as f32 / 16_777_216.0;
            if sign == 0 { value } else { -value }
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_follow_the_standard() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
