//! Medians and percentiles of samples, and the ratios of samples taken in pairs.

/// What a table says of samples, in the samples' unit.
pub struct Summary {
    pub minimum: f64,
    pub median: f64,
    /// Nine of ten samples are at most this.
    pub p90: f64,
}

/// The summary of samples, of which there must be one at least.
pub fn summary(samples: &[f64]) -> Summary {
    let sorted = sorted(samples);
    Summary {
        minimum: sorted[0],
        median: percentile(&sorted, 50),
        p90: percentile(&sorted, 90),
    }
}

/// The median of the ratios of samples that were taken in the same round. Unlike a ratio of two medians
/// it is not moved by what slowed down both of a pair.
pub fn paired_ratio(samples: &[f64], base: &[f64]) -> f64 {
    let ratios: Vec<f64> = samples
        .iter()
        .zip(base)
        .map(|(sample, base)| sample / base)
        .collect();
    summary(&ratios).median
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value that this many percent of the sorted samples do not exceed: that of the nearest rank.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}
