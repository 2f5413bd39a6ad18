//! The amplitudes of templates that a solve found.

use dolmen_core::Vector;

use super::Group;

/// Amplitudes of the templates of all groups.
pub struct TemplateAmplitudes {
    /// Names of the templates.
    pub names: Vec<String>,
    /// Groups that this rank owns.
    pub groups: Vec<Group>,
    /// For each group one amplitude for each template, in the unit of the signal.
    pub values: Vector<f64>,
    /// True for each amplitude that is determined; the others are zero.
    pub determined: Vec<bool>,
}

impl TemplateAmplitudes {
    /// Returns the number of amplitudes that are not determined, and of all, over all ranks; without those of azimuths, not
    /// all of which are seen, and of which offsets hold the mean.
    ///
    /// # Collective
    pub(crate) fn undetermined(&self) -> [u64; 2] {
        let counted =
            || self.determined.iter().zip(self.names.iter().cycle()).filter(|(_, name)| !name.starts_with("azimuth"));
        let mut counts = [counted().filter(|(determined, _)| !**determined).count() as u64, counted().count() as u64];
        self.values.layout().comm().all_reduce_sum(&mut counts);
        counts
    }

    /// Returns the text that tells of amplitudes that are not determined, if there are any.
    ///
    /// # Collective
    pub(crate) fn note(&self) -> Option<String> {
        let [undetermined, all] = self.undetermined();
        (undetermined > 0).then(|| {
            format!(
                "{undetermined} of {all} amplitudes of templates are not determined and are zero, as baselines.h5 shows: \
                 over the samples of the solve, offsets and the templates listed before can follow these templates; use \
                 fewer templates, or longer baselines"
            )
        })
    }
}
