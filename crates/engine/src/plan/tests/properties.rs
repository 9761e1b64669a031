//! Random histories of two devices: they agree in the end and lose nothing on the way.

use proptest::prelude::*;

use super::world::{CONTENTS, PATHS, World, edit, groups};
use super::*;

#[derive(Debug, Clone)]
enum Event {
    Edit { device: usize, path: usize, content: Option<usize> },
    Cycle { device: usize, blocked: Option<usize>, together: Vec<(usize, usize)> },
    Decide { device: usize, approve: bool },
}

fn contents() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![3 => (0..CONTENTS.len()).prop_map(Some), 2 => Just(None)]
}

fn trees() -> impl Strategy<Value = Tree> {
    prop::collection::vec((0..PATHS.len(), 0..CONTENTS.len()), 0..12).prop_map(|files| {
        let mut tree = Tree::new();
        for (path, content) in files {
            edit(&mut tree, PATHS[path], Some(content));
        }
        tree
    })
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let edit = (0..2_usize, 0..PATHS.len(), contents()).prop_map(|(device, path, content)| Event::Edit {
        device,
        path,
        content,
    });
    let blocked = prop_oneof![2 => Just(None), 1 => (0..PATHS.len()).prop_map(Some)];
    let together = prop::collection::vec((0..PATHS.len(), 0..PATHS.len()), 0..3);
    let cycle = (0..2_usize, blocked, together).prop_map(|(device, blocked, together)| Event::Cycle {
        device,
        blocked,
        together,
    });
    let decide = (0..2_usize, any::<bool>()).prop_map(|(device, approve)| Event::Decide { device, approve });
    prop::collection::vec(prop_oneof![6 => edit, 2 => cycle, 1 => decide], 0..30)
}

fn play(world: &mut World, events: Vec<Event>) {
    for event in events {
        match event {
            Event::Edit { device, path, content } => {
                edit(&mut world.devices[device].local, PATHS[path], content);
            }
            Event::Cycle { device, blocked, together } => {
                let mut busy = Blocked::default();
                if let Some(busy_path) = blocked {
                    busy.add(path(PATHS[busy_path]), "it is busy");
                }
                let item = |at: usize| groups().item(&path(PATHS[at]));
                let together = together.iter().map(|&(one, other)| BTreeSet::from([item(one), item(other)]));
                world.cycle(device, &busy, &together.collect::<Vec<_>>());
            }
            Event::Decide { device, approve } => world.decide(device, approve),
        }
    }
}

/// Runs cycles in turn, without edits, until neither device finds anything to do.
fn come_to_rest(world: &mut World) -> [Plan; 2] {
    for _ in 0..4 {
        let plans = [0, 1].map(|device| world.cycle(device, &Blocked::default(), &[]));
        if plans.iter().all(Plan::is_quiet) {
            return plans;
        }
    }
    panic!("the devices do not come to rest: {world:#?}");
}

/// Checks that all three hold the same, except for items reported as waiting or held and indexes
/// kept local.
fn check_same(world: &World, plans: &[Plan; 2]) {
    let held = plans.iter().flat_map(|plan| &plan.holds).flat_map(|hold| &hold.items);
    let open: BTreeSet<&Item> =
        plans.iter().flat_map(|plan| &plan.waiting).map(|waiting| &waiting.item).chain(held).collect();
    for (device, plan) in world.devices.iter().zip(plans) {
        for path in device.local.keys().chain(world.remote.keys()) {
            let item = world.groups.item(path);
            let stays = world.groups.is_derived(path)
                && step(plan, &item).is_some_and(|step| step.action == Action::KeepLocal);
            if !open.contains(&item) && !stays {
                assert_eq!(device.local.get(path), world.remote.get(path), "{path}: {world:#?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn devices_come_to_agree(start in trees(), events in events()) {
        let mut world = World::new(&start, None);
        play(&mut world, events);
        let plans = come_to_rest(&mut world);
        check_same(&world, &plans);
    }

    /// Losses of groups wait for a person. So do items that need the names of those groups.
    #[test]
    fn devices_agree_but_for_the_groups_that_are_held(start in trees(), events in events()) {
        let brakes = Brakes { min_files: usize::MAX, ..Brakes::default() };
        let mut world = World::new(&start, Some(brakes));
        play(&mut world, events);
        let plans = come_to_rest(&mut world);
        check_same(&world, &plans);
    }

    #[test]
    fn devices_agree_but_for_what_any_brake_holds(start in trees(), events in events()) {
        let brakes = Brakes { min_files: 4, ..Brakes::default() };
        let mut world = World::new(&start, Some(brakes));
        play(&mut world, events);
        let plans = come_to_rest(&mut world);
        check_same(&world, &plans);
    }
}
