use super::*;
use crate::fs::RealFs;

fn marker() -> Marker {
    let (vault, device) = (VaultId::from_bytes([1; 16]), DeviceId::from_bytes([2; 8]));
    Marker { format: MARKER_FORMAT, vault, device, machine: "m".into() }
}

#[test]
fn a_marker_round_trips() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    marker().write(&RealFs, &layout).unwrap();
    marker().write(&RealFs, &layout).unwrap();
    assert_eq!(Marker::read(&RealFs, &layout).unwrap(), marker());
    assert!(Marker::read_of(&RealFs, &layout, marker().vault).is_ok());
    let other = Marker::read_of(&RealFs, &layout, VaultId::from_bytes([9; 16]));
    assert!(matches!(other, Err(MarkerError::OtherVault { .. })));
}

#[test]
fn each_fault_has_its_own_error() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let read = |layout: &Layout| Marker::read(&RealFs, layout).unwrap_err();
    let write = |text: &str| std::fs::write(layout.marker(), text).unwrap();
    assert!(matches!(read(&layout), MarkerError::Missing(_)));
    assert!(matches!(read(&Layout::new(dir.path().join("x"))), MarkerError::NoRoot(_)));
    for damaged in ["", "{}", "null", "[1]", r#"{"format":1}"#, r#"{"format":-1}"#] {
        write(damaged);
        assert!(matches!(read(&layout), MarkerError::Damaged { .. }), "{damaged:?} was accepted");
    }
    write(&" ".repeat(70_000));
    assert!(matches!(read(&layout), MarkerError::Damaged { .. }));
    write(r#"{"format":2,"anything":"else"}"#);
    assert!(matches!(read(&layout), MarkerError::Newer { format: 2, .. }));
    let file = Layout::new(layout.marker());
    assert!(matches!(read(&file), MarkerError::NotAFolder(_)));
}
