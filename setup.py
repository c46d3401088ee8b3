"""Installs the `attention` command; `deploy/setup/requirements.lock` pins what these ranges allow."""

from setuptools import find_packages, setup

setup(
    name="attention-pipeline",
    version="0.1.0",
    description="A TFX pipeline that retrains, gates, and serves attention models on labelled rows.",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(
        include=[room + part for room in ("pipeline", "components", "models", "deploy") for part in ("", ".*")]
    ),
    package_data={"pipeline": ["presets/*.yaml"]},
    install_requires=[
        "apache-beam>=2.77,<2.78",
        "click>=8.1,<9",
        "cronsim>=2.7,<3",
        "grpcio-health-checking>=1.60",
        "grpcio-reflection>=1.60",
        "aiohttp>=3.9,<4",
        "keras>=3.15,<3.16",
        "keras-nlp>=0.32,<0.33",
        "keras-tuner>=1.4.8,<2",
        "kfp>=2.16,<2.17",
        "kfp-pipeline-spec>=2.16,<2.17",
        "prometheus-client>=0.20,<1",
        "pyarrow>=18,<19",
        "pydantic>=2.7,<3",
        "pyyaml>=6,<7",
        "rich>=13,<16",
        "safetensors>=0.5,<1",
        "scipy>=1.15,<2",
        "tensorflow>=2.21,<2.22",
        "tensorflow-serving-api>=2.19,<2.22",
        "tensorflow-text>=2.21.1,<2.22",
        "tfx>=1.21,<1.22",
        "threadpoolctl>=3.5,<4",
    ],
    extras_require={
        "dev": [
            "cryptography>=42",
            "hypothesis>=6",
            "import-linter>=2",
            "kubernetes-validate>=1.37,<2",
            "mypy>=1.10",
            "psutil>=5.9",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "requests>=2.31",
            "ruff>=0.6",
            "scikit-learn>=1.5",
            "types-PyYAML",
            "types-protobuf",
        ],
    },
    entry_points={"console_scripts": ["attention = pipeline.cli:main"]},
)
