"""
A stage of a Spark pipeline
===========================

``skbn.spark.BatchNormScaler`` in the place of Spark ML's ``StandardScaler``: what both
lose to an offset. The error is the largest of a standardised value, in standard
deviations, against exact rational arithmetic, for 500 rows. The model goes to a file
and back by Spark's own persistence, and its state is one that ``skbn.state`` reads
without Spark.

It needs the extra ``spark``, and Java 17.

Usage: ``python examples/spark_pipeline.py``
"""

import os
import statistics
import sys
from fractions import Fraction
from tempfile import TemporaryDirectory

import numpy as np
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import SparkSession

from skbn.spark import BatchNormScaler

os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
quiet = SparkSession.builder.config("spark.ui.showConsoleProgress", "false")
spark = quiet.getOrCreate()

noise = np.random.default_rng(0).standard_normal(500)
scalers = {
    "BatchNormScaler": BatchNormScaler(inputCol="features", outputCol="scaled"),
    "StandardScaler": StandardScaler(
        inputCol="features", outputCol="scaled", withMean=True
    ),
}
assembler = VectorAssembler(inputCols=["reading"], outputCol="features")

print(f"{'offset':<10}" + "".join(f"{name:>18}" for name in scalers))
for offset in (0, 1e9):
    readings = noise + offset
    frame = spark.createDataFrame([(x,) for x in readings.tolist()], "reading double")
    exact = [Fraction(value) for value in readings.tolist()]
    mean, errors = statistics.mean(exact), []
    for name, scaler in scalers.items():
        # Spark's own divides by the number of rows less 1.
        ddof = int(name == "StandardScaler")
        variance = statistics.pvariance(exact) * len(exact) / (len(exact) - ddof)
        deviation = float(variance) ** 0.5
        model = Pipeline(stages=[assembler, scaler]).fit(frame)
        rows = model.transform(frame).select("reading", "scaled").collect()
        errors.append(
            max(
                abs(scaled[0] - float(Fraction(reading) - mean) / deviation)
                for reading, scaled in rows
            )
        )
        if name == "BatchNormScaler":
            ours = model
    print(f"{offset:<10g}" + "".join(f"{error:>18.0e}" for error in errors))

with TemporaryDirectory() as folder:
    ours.write().overwrite().save(f"{folder}/model")
    loaded = PipelineModel.load(f"{folder}/model").stages[1].transformer
print(f"\n{loaded} has seen {loaded.n_samples_seen_} rows with mean {loaded.mean_[0]}")
spark.stop()
