import subprocess
import sys

import clusterlab


def test_the_vocabulary_is_small_and_every_name_loads():
    assert len(clusterlab.__all__) <= 40
    assert set(clusterlab.__all__) == set(clusterlab._HOME_OF)
    for name in clusterlab.__all__:
        assert getattr(clusterlab, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(clusterlab, "Zookeeper")


def test_importing_loads_nothing_heavy():
    heavy = ("ray", "plotly", "ipywidgets", "anywidget")
    code = f"import clusterlab, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
