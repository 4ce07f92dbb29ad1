"""Video data: annotations, splits, sampling, loading, and the synthetic world MotionShapes."""
