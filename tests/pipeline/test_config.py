"""A config is whole and right, or every fault of it is told at once."""

import json

import pytest
import yaml

from models.spec import BERT_RECIPE, BertOptions, ExplainOptions, OrdinalHead, SingleLabelHead, TrainOptions
from pipeline import presets
from pipeline.config import ConfigError, json_schema, load, override, parse
from pipeline.evaluation import release_gate_options

SMALL = {
    "name": "mood",
    "data": {"input": "mood.csv", "label": "mood"},
    "features": {"review": "text", "age": {"type": "number", "column": "Age in years"}},
    "evaluation": {"gates": {"accuracy": {"min": 0.6}}},
}


@pytest.fixture
def write(tmp_path):
    def write_text(text):
        path = tmp_path / "config.yaml"
        path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
        return path

    return write_text


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_a_valid_config(name):
    config = load(presets.path(name))
    assert parse(yaml.safe_load(config.to_yaml())) == config


def test_a_short_feature_is_its_type_and_reads_the_column_of_its_name():
    config = parse(SMALL)
    assert config.features["review"].type == "text"
    assert config.features["review"].column == "review"
    assert config.features["age"].column == "Age in years"


def test_all_faults_are_told_at_once_with_their_paths():
    raw = override(SMALL, ["train.epochs=0", "train.lerning_rate=1", "data.label=null", "evaluation.gates={}"])
    with pytest.raises(ConfigError) as caught:
        parse(raw, "mood.yaml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "mood.yaml has 4 faults:"
    assert "  `train.epochs`: Input should be greater than or equal to 1. Received: 0." in lines
    unknown = "is not a setting that is known here. Received: 1. Did you mean `learning_rate`?"
    assert f"  `train.lerning_rate`: {unknown}" in lines
    assert any(line.startswith("  `data.label`") for line in lines)
    assert any(line.startswith("  `evaluation.gates`") for line in lines)


def test_faults_name_the_overrides_beside_the_file_without_their_values(tmp_path):
    path = tmp_path / "mood.yaml"
    path.write_text(json.dumps(SMALL))
    with pytest.raises(ConfigError) as caught:
        load(path, ["name=a b", "train.epochs=2"])
    assert str(caught.value).splitlines()[0] == f"{path} with --set name, train.epochs has 1 fault:"


def test_a_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse(SMALL).name = "other"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("features.mood2={type: text, column: mood}", "gives? the label away|label's own column"),
        ("features.Review=text", "lower-case identifier"),
        ("features.label=text", "kept for the label"),
        ("evaluation.slices=[shop]", "not there. Received: 'shop'"),
        ("evaluation.gates.accuracy.slices={min: 0.5}", "has nothing to judge: name features in `evaluation.slices`"),
        ("model.num_heads=5", "multiple of `model.num_heads`"),
        ("model={encoder: bert, num_layers: 2}", "`model.num_layers`: is not a setting that is known here"),
        ("model.word_loss_weight=1", "`model.word_loss_weight`: .* Received: 1. It is one of bert."),
        ("model={encoder: bert, gradual_unfreezing: true, lora_rank: 4}", "LoRA leaves the layers frozen"),
        ("train={strategy: mirrored, gradient_accumulation_steps: 2}", "Keras adds up on one device alone"),
        ("train={strategy: multi_worker, jit_compile: true}", "XLA compiles for one device"),
        ("model.encoder=gru", "`model`: .*'self_attention', 'bert'"),
        ("explain.layers=[2]", r"numbers from 1 to 1 or from -1 to -1. Received: \[2\]"),
        ("explain.layers=[0]", r"numbers from 1 to 1 or from -1 to -1. Received: \[0\]"),
        ("explain.layers=[1, -1]", r"must name a layer once, and the encoder has 1. Received: \[1, -1\]"),
        ("explain.layers=2", "`explain.layers`: must be `all` or a list of numbers, .* Received: 2"),
        ("evaluation.gates.accuracy={}", "needs one of min, max, max_drop, max_rise"),
        ("evaluation.gates.accuracy={max_drop: 0.1, max_rise: 0.1}", "not both"),
        ("features={customer: passthrough}", "nothing that a model could read"),
        ("name=My Model", "should match pattern"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        parse(override(SMALL, [setting]))


def test_several_workers_do_not_search():
    settings = ["tune={space: {train.seed: [1, 2]}}", "train.strategy=multi_worker"]
    with pytest.raises(ConfigError, match="`tune` and `train.strategy: multi_worker` exclude each other"):
        parse(override(SMALL, settings))


def test_a_model_without_gates_is_refused():
    without = {key: value for key, value in SMALL.items() if key != "evaluation"}
    with pytest.raises(ConfigError, match="`evaluation`: is needed and not there"):
        parse(without)


def test_override_reads_yaml_and_leaves_the_original_alone():
    raw = override(SMALL, ["train.epochs=2", "features.review.max_len=32", "evaluation.slices=[age]"])
    assert raw["train"] == {"epochs": 2}
    assert parse(raw).features["review"].max_len == 32
    assert parse(raw).evaluation.slices == ["age"]
    assert "train" not in SMALL


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.epochs", "takes dotted.path=value"),
        ("name.first=x", "`name` holds a value, not a group"),
        ("train.epochs=[1", "not valid YAML"),
    ],
)
def test_a_wrong_override_is_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        override(SMALL, [setting])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", "'name' stands here a second time"),
        ("- a\n- b\n", "must hold a mapping of settings. Received: list"),
        ("a: [1", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_config_is_refused(write, text, message):
    with pytest.raises(ConfigError, match=message):
        load(write(text))


def test_a_missing_file_names_the_way_to_get_one(tmp_path):
    with pytest.raises(ConfigError, match="attention init TABLE --label COLUMN"):
        load(tmp_path / "none.yaml")


def test_the_parts_hold_what_their_step_needs_and_no_more():
    config = parse(override(SMALL, ["train.epochs=3", "model.num_layers=2"]))
    assert config.model_spec().train.epochs == 3
    # Other training or another network leave Transform's work valid, so it must not see them.
    assert config.preprocessing_spec() == parse(SMALL).preprocessing_spec()
    explained = parse(override(SMALL, ["explain={layers: [-1], rollout: true}"]))
    assert explained.model_spec().explain == ExplainOptions(layers=(-1,), rollout=True)
    assert explained.preprocessing_spec() == config.preprocessing_spec()
    options = config.example_gen_options("/quarantine")
    assert [column.column for column in options.columns] == ["review", "Age in years"]
    assert [label.model_dump() for label in options.labels] == [
        {"name": "label", "column": "mood", "type": "category", "separator": "|"}
    ]


def test_layers_of_no_layers_cannot_be_told():
    with pytest.raises(ConfigError, match="layers that the encoder has: none. Received: all"):
        parse(override(SMALL, ["model.num_layers=0", "explain.layers=all"]))


def test_how_many_layers_a_bert_has_is_known_with_its_preset_alone():
    config = parse(override(SMALL, ["model.encoder=bert", "explain.layers=[1, 2, -1]"]))
    assert parse(yaml.safe_load(config.to_yaml())) == config
    assert config.explain.places(6) == (0, 1, 5)


def test_a_bert_is_trained_by_its_recipe_where_nothing_else_is_said():
    config = parse(override(SMALL, ["model.encoder=bert", "train.epochs=3"]))
    assert config.model == BertOptions(preset="asset:minilm")
    assert config.train == TrainOptions.model_validate({**BERT_RECIPE, "epochs": 3})
    assert config.train.learning_rate == 2e-5
    assert parse(SMALL).train == TrainOptions()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["features={age: number}"], "reads texts, and `features` holds none"),
        (["text.vocabulary_size=500"], "a preset brings its own word pieces"),
    ],
)
def test_what_a_bert_has_no_use_for_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        parse(override(SMALL, ["model.encoder=bert", *settings]))


def test_transform_of_a_bert_depends_on_the_preset_alone():
    def spec(*settings):
        return parse(override(SMALL, ["model.encoder=bert", *settings])).preprocessing_spec("digest")

    assert spec("model.dropout=0.3", "train.epochs=1") == spec()
    assert spec("model.preset=other") != spec()
    assert spec().preset_digest == "digest"


def test_the_schema_for_editors_describes_every_setting():
    schema = json.loads(json.dumps(json_schema()))
    assert schema["properties"].keys() >= {"name", "data", "features", "model", "train", "evaluation", "push"}
    assert {"enum": ["text", "number", "category", "passthrough"]} in schema["properties"]["features"][
        "additionalProperties"
    ]["anyOf"]


def test_one_column_is_short_for_one_head():
    config = parse(SMALL)
    assert config.heads == {"label": SingleLabelHead(column="mood")}
    assert parse(yaml.safe_load(config.to_yaml())) == config
    ordinal = parse(override(SMALL, ["heads.label.type=ordinal"]))
    assert ordinal.heads == {"label": OrdinalHead(column="mood")}


def test_similarity_is_an_option_of_the_head_that_transform_does_not_see():
    config = parse(override(SMALL, ["heads.label.similarity=contrastive", "heads.label.embedding_dim=8"]))
    assert config.heads["label"] == SingleLabelHead(column="mood", similarity="contrastive", embedding_dim=8)
    assert config.model_spec().embedding_head == "label"
    assert parse(SMALL).model_spec().embedding_head == ""
    assert config.preprocessing_spec() == parse(SMALL).preprocessing_spec()
    assert release_gate_options(config.evaluation, config.model_spec()).signatures == (
        *("serving_default", "examples", "explain", "embed", "classify"),
    )


def test_heads_stand_in_place_of_the_one_label():
    raw = override(
        SMALL, ["data.label=null", "heads.stars=ordinal", "heads.topics={type: multi_label, column: Topics}"]
    )
    config = parse(raw)
    assert config.heads["stars"] == OrdinalHead(column="stars")
    assert config.model_spec().signatures == {"classify_stars": "stars", "classify_topics": "topics"}
    assert [label.type for label in config.example_gen_options("/quarantine").labels] == ["category", "categories"]
    assert parse(yaml.safe_load(config.to_yaml())) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["data.label=null"], r"`data.label`: must name the column of the class, or `heads` must say"),
        (["heads.stars=ordinal"], "`data.label` and `heads` exclude each other"),
        (["heads.label.type=poetry"], r"`heads.label`: .*'poetry'"),
        (["heads.label={type: ordinal, levels: [a, a]}"], "`heads.label.levels` must be several, each once"),
        (["heads.label={type: regression, separator: x}"], "`heads.label.separator`: is not a setting that is known"),
        (["data.label=null", "heads.Stars=ordinal"], "`heads.Stars` must be a lower-case identifier"),
        (["data.label=null", "heads.review=ordinal"], "`features.review`: this name is kept for the label"),
        (["heads.label.type=ordinal", "train.class_weights=balanced"], "`train.class_weights` is for heads of"),
        (["heads.label={type: ordinal, similarity: triplet}"], "`heads.label.similarity`: is not a setting that is"),
        (["heads.label.similarity=triplet", "train.batch_size=1"], "compares rows of a batch, and .* is 1"),
        (["heads.label.similarity=triplet", "train.strategy=mirrored"], "similarity` and `train.strategy` exclude"),
        (
            ["data.label=null", "heads.a={similarity: triplet}", "heads.b={similarity: contrastive}"],
            r"one head may learn `similarity`, .* Received: \['a', 'b'\]",
        ),
        (["heads.label.type=regression", "train.loss=focal"], "`train.loss: focal` is for heads of"),
        (["heads.label.type=regression", "push.label=canary"], "`push.label: canary` compares the labels"),
    ],
)
def test_heads_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        parse(override(SMALL, settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["tune={}"], "`tune.space`: is needed and not there"),
        (["tune.space.train.epochs=[1, 2]", "tune.trails=3"], "`tune.trails`: is not a setting that is known here"),
        (["tune.space.text.lowercase=[true]"], "`tune.space.text.lowercase`: only options of `train` and `model` can"),
        (["tune.space={data.label: [a]}"], "only options of `train` and `model` can be searched"),
        (["tune.space.train.rate=[1, 2]"], "`tune.space.train.rate`: `train` has no such option; it has epochs, batch"),
        (["tune.space.model.preset=[a]"], "`model` has no such option"),
        (["tune.space.model.encoder=[self_attention, bert]"], "cannot be searched: Transform depends on it"),
        (["model.encoder=bert", "tune.space.model.preset=[a, b]"], "cannot be searched: Transform depends on it"),
        (["tune.space.train.learning_rate={min: 0, max: 1}"], "greater than 0. Received: 0.0"),
        (["tune.space.train.learning_rate={min: 2, max: 1}"], "`max` must be above `min`. Received: min=2, max=1"),
        (["tune.space.train.learning_rate={min: 0, max: 1, scale: log}"], "`scale: log` needs a `min` above 0"),
        (["tune.space.train.learning_rate={min: 1e-4}"], "`tune.space.train.learning_rate.max`: is needed"),
        (["tune.space.train.epochs={min: 1, max: 9, step: 1.5}"], "`step` must be whole, as the option is"),
        (["tune.space.train.epochs={min: 1.5, max: 9}"], "valid integer.*Received: 1.5"),
        (["tune.space.train.jit_compile={min: 0, max: 1}"], "a range is for numbers; give a list of choices"),
        (["tune.space.train.optimizer=[adam, adamax]"], "Received: 'adamax'"),
        (["tune.space.train.epochs=[2, 2]"], "each choice stands there once"),
        (["tune.space.train.epochs=[]"], "`tune.space.train.epochs`: List should have at least 1 item"),
        (["tune={strategy: hyperband, space: {train.epochs: [1, 2]}}"], "hyperband` chooses the epochs itself"),
        (["tune={objective: auc, space: {train.epochs: [1, 2]}}"], "must be one of accuracy, loss. Received: 'auc'"),
        (
            ["tune.space.model.hidden_dim={min: 32, max: 64}"],
            "allows model.hidden_dim=33: `model.hidden_dim` must",
        ),
        (
            ["tune.space={model.hidden_dim: [60, 64], model.num_heads: [4, 5]}"],
            "allows model.hidden_dim=64, model.num_heads=5: `model.hidden_dim` must be a multiple",
        ),
    ],
)
def test_a_search_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        parse(override(SMALL, settings))
    assert str(caught.value).startswith("the config has 1 fault:")


def test_a_search_is_part_of_a_config():
    space = {"train.learning_rate": {"min": "1e-4", "max": 5e-3, "scale": "log"}, "model.hidden_dim": [32, 64]}
    config = parse({**SMALL, "tune": {"space": space}})
    assert (config.tune.strategy, config.tune.trials, config.tune.minutes) == ("bayesian", 20, None)
    assert config.tune.space["train.learning_rate"].min == 1e-4
    assert parse(yaml.safe_load(config.to_yaml())) == config
    assert parse(SMALL).tune is None
    parse(override(SMALL, ["tune.space={model.hidden_dim: [60, 30], model.num_heads: [5, 6]}"]))  # 64 is not among them
    other = parse(override({**SMALL, "tune": {"space": space}}, ["tune.space.model.hidden_dim=[16]"]))
    assert other.tune.space["model.hidden_dim"] == [16]


def test_one_part_of_a_searched_range_can_be_set_anew():
    space = {"train.learning_rate": {"min": 1e-4, "max": 1e-2, "scale": "log"}}
    config = parse(override({**SMALL, "tune": {"space": space}}, ["tune.space.train.learning_rate.max=0.1"]))
    (searched,) = config.tune.space.values()
    assert (searched.min, searched.max, searched.scale) == (1e-4, 0.1, "log")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("metadata.password=hunter2", "`metadata.password`: is not a setting that is known here."),
        ("artifacts.secret_key=hunter2", "`artifacts.secret_key`: is not a setting that is known here."),
        ("artifacts.store=s3://KEY:hunter2@bucket/a", "s3://BUCKET/FOLDER. Received: 's3://…@bucket/a'."),
        ("metadata=mysql://root:hunter2@host/db", "Received: 'mysql://…@host/db'."),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(setting, told):
    with pytest.raises(ConfigError) as caught:
        parse(override(SMALL, [setting]))
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)
