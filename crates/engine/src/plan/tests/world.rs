//! Two devices and a remote, in memory. Each cycle makes a plan, carries it out whole and checks
//! its invariants.

use super::super::agreed;
use super::*;

/// Paths, few enough to clash often: groups, an index, files where others need folders, names that
/// differ only in letter case.
pub(super) const PATHS: [&str; 13] = [
    "a",
    "a/b",
    "a/b/c",
    "A",
    "t/x",
    "t/X",
    "n/corpus",
    "n/vectors",
    "n/index",
    "n/index/x",
    "s",
    "s/t",
    "u",
];

/// Contents that a file may have. Some are less than half as long as others.
pub(super) const CONTENTS: [(&str, u64); 4] = [("long", 4000), ("half", 2000), ("short", 1999), ("[]", 2)];

pub(super) fn groups() -> Groups {
    groups_of(&[("n", &["n/corpus", "n/vectors"], &["n/index"]), ("m", &["s", "u"], &[])])
}

/// Writes or deletes a file, as a person would: first removes whatever blocks the name.
pub(super) fn edit(tree: &mut Tree, name: &str, content: Option<usize>) {
    let target = path(name);
    let Some((text, size)) = content.map(|content| CONTENTS[content]) else {
        tree.remove(&target);
        return;
    };
    tree.retain(|other, _| {
        let below = other.folders().any(|folder| folder == name);
        let above = target.folders().any(|folder| folder == other.as_str());
        !below && !above
    });
    tree.insert(target, sized(text, size));
}

#[derive(Debug, Default)]
pub(super) struct Device {
    pub(super) local: Tree,
    base: Tree,
    decisions: Decisions,
    held: Vec<Held>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) remote: Tree,
    pub(super) devices: [Device; 2],
    pub(super) groups: Groups,
    ages: BTreeMap<String, Ages>,
    generation: u64,
    brakes: Option<Brakes>,
}

impl World {
    /// Creates two devices that agree on `start`.
    pub(super) fn new(start: &Tree, brakes: Option<Brakes>) -> Self {
        let device = || Device {
            local: start.clone(),
            base: start.clone(),
            decisions: Decisions::default(),
            held: Vec::new(),
        };
        let (devices, ages) = ([device(), device()], BTreeMap::new());
        Self { remote: start.clone(), devices, groups: groups(), ages, generation: 0, brakes }
    }

    fn case(&self, device: usize, blocked: &Blocked, together: &[BTreeSet<Item>]) -> Case {
        let Device { local, base, decisions, held } = &self.devices[device];
        Case {
            groups: self.groups.clone(),
            ages: self.ages.clone(),
            blocked: blocked.clone(),
            together: together.to_vec(),
            brakes: self.brakes,
            decisions: decisions.clone(),
            held: held.clone(),
            ..Case::of(base.clone(), local.clone(), self.remote.clone())
        }
    }

    /// Decides all open holds of a device.
    pub(super) fn decide(&mut self, device: usize, approve: bool) {
        let plan = self.case(device, &Blocked::default(), &[]).plan();
        let decisions = &mut self.devices[device].decisions;
        let side = if approve { &mut decisions.approved } else { &mut decisions.rejected };
        side.extend(plan.holds.iter().map(|hold| hold.id));
    }

    /// Runs one cycle of one device, with sets of items that programs wrote together.
    pub(super) fn cycle(&mut self, device: usize, blocked: &Blocked, together: &[BTreeSet<Item>]) -> Plan {
        let case = self.case(device, blocked, together);
        let plan = case.plan();
        check_form(&case, &plan);
        for step in &plan.steps {
            check_whole(&case, step);
            check_nothing_lost(&case, &plan, step);
        }
        self.carry_out(device, &plan);
        for (place, tree) in [("the remote", &self.remote), ("the vault", &self.devices[device].local)] {
            assert_eq!(
                file_as_folder(tree),
                None,
                "in {place} a file stands where others need a folder: {plan:#?}"
            );
        }
        let again = self.case(device, blocked, together).plan();
        // Where names wait for each other, a step may make room for what another one waits for.
        if !plan.waiting.is_empty() && !again.is_quiet() {
            self.carry_out(device, &again);
            let third = self.case(device, blocked, together).plan();
            assert!(third.is_quiet(), "a third plan has more to do: {plan:#?} {again:#?} {third:#?}");
            return plan;
        }
        assert!(again.is_quiet(), "the same plan again has more to do: {plan:#?} {again:#?}");
        plan
    }

    fn carry_out(&mut self, device: usize, plan: &Plan) {
        self.generation += 1;
        let here = &mut self.devices[device];
        for step in &plan.steps {
            if !step.outgoing() {
                apply(&mut here.local, &step.files);
                continue;
            }
            apply(&mut self.remote, &step.files);
            let Item::Group(name) = &step.item else { continue };
            let ages = self.ages.entry(name.clone()).or_default();
            for file in &step.files {
                let derived = self.groups.is_derived(&file.path);
                *(if derived { &mut ages.derived } else { &mut ages.primary }) = self.generation;
            }
        }
        let done = plan.steps.iter().map(|step| step.item.clone()).collect();
        here.base = agreed(plan, &here.base, &done);
        here.held = plan.to_remember(&done);
        here.decisions = Decisions::default();
    }
}

/// Checks the form of a plan: it is repeatable and sorted, names each item once, and has no steps
/// for waiting or held items.
fn check_form(case: &Case, plan: &Plan) {
    let json = |plan: &Plan| serde_json::to_string(plan).unwrap();
    assert_eq!(json(&case.plan()), json(plan));
    assert!(plan.steps.is_sorted_by(|one, next| one.item < next.item), "{plan:#?}");
    assert!(plan.steps.iter().all(|step| step.files.is_sorted_by(|one, next| one.path < next.path)));
    assert!(plan.waiting.is_sorted_by(|one, next| one.item < next.item), "{plan:#?}");
    let waiting = plan.waiting.iter().map(|waiting| &waiting.item);
    for item in plan.holds.iter().flat_map(|hold| &hold.items).chain(waiting) {
        assert_eq!(step(plan, item), None, "{item} is to wait");
    }
    for items in &case.together {
        let stuck = |item: &Item| {
            plan.waiting.iter().any(|waiting| waiting.item == *item)
                || plan.holds.iter().any(|hold| hold.items.contains(item))
        };
        let sent = |item: &Item| step(plan, item).is_some_and(Step::outgoing);
        assert!(!items.iter().any(stuck) || !items.iter().any(sent), "half of {items:?} is sent: {plan:#?}");
    }
    for step in &plan.steps {
        for (path, _) in &step.agreed {
            assert_eq!(case.blocked.reason(path), None, "{path} is blocked");
        }
    }
}

/// Checks that a group stays wholly as it is on one of the two sides.
fn check_whole(case: &Case, step: &Step) {
    let sides = [&case.local, &case.remote];
    let is = |side: &&Tree| step.agreed.iter().all(|(path, entry)| side.get(path) == entry.as_ref());
    assert!(sides.iter().any(is), "half of one side and half of the other: {step:#?}");
    let everywhere = case.base.keys().chain(case.local.keys()).chain(case.remote.keys());
    for path in everywhere.filter(|path| case.groups.item(path) == step.item) {
        assert!(step.agreed.iter().any(|(agreed, _)| agreed == path), "{path} is left out of {step:#?}");
    }
}

/// Checks that each replaced version was agreed on, can be computed again, or is kept. A person may
/// decide otherwise.
fn check_nothing_lost(case: &Case, plan: &Plan, step: &Step) {
    let rejected = |hold: &&Hold| case.decisions.rejected.contains(&hold.id);
    if plan.rejected.iter().filter(rejected).any(|hold| hold.items.contains(&step.item)) {
        return;
    }
    for FileStep { path, from, .. } in step.files.iter().filter(|file| file.from.is_some()) {
        let agreed = case.base.get(path) == from.as_ref();
        let spare = case.groups.is_derived(path);
        let is_it =
            |conflict: &Conflict| conflict.files.iter().any(|kept| kept.path == *path && kept.entry == *from);
        assert!(agreed || spare || kept(step).is_some_and(is_it), "{path} is lost: {step:#?}");
    }
}
