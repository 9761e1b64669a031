use super::*;

const DEFAULT: Polls =
    Polls { usual: Duration::from_secs(60), active: Duration::from_secs(5), idle: Duration::from_secs(600) };

#[test]
fn the_default_settings_cost_nothing_on_one_device() {
    let estimate = estimate(DEFAULT, 1, 280_000_000);
    // Half a day of polls each minute, half a day of polls each ten minutes.
    assert_eq!(estimate.idle_polls, 30 * (720 + 72));
    // 50 spells of 24 polls and 3 listings, and the daily listing of everything.
    assert_eq!(estimate.busy_listings, 30 * (50 * 27 + 1));
    assert_eq!(estimate.paid_listings, 0);
    assert!(estimate.requests_usd.abs() < 1e-9 && estimate.storage_usd.abs() < 1e-9, "{estimate:?}");
}

#[test]
fn all_devices_of_the_vault_count() {
    let estimate = estimate(DEFAULT, 16, 0);
    assert_eq!(estimate.idle_polls, 30 * (720 + 72 + 15 * 145));
    assert_eq!(estimate.paid_listings, 30 * (792 + 2175 + 1351 - 2500));
    assert!((estimate.requests_usd - 0.22).abs() < 1e-9, "{estimate:?}");
}

#[test]
fn haste_and_bulk_cost() {
    let tenth = Duration::from_millis(100);
    let hasty = estimate(Polls { usual: tenth, active: tenth, idle: tenth }, 1, 0);
    assert!(hasty.requests_usd > 100.0, "{hasty:?}");
    let hour = Duration::from_secs(3600);
    let slow = Polls { usual: hour, active: Duration::from_secs(60), idle: hour };
    let slow = estimate(slow, 1, 1_010_000_000_000);
    assert!(slow.requests_usd.abs() < 1e-9 && (slow.storage_usd - 6.0).abs() < 1e-9, "{slow:?}");
}
