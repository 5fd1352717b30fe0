"""The generators: shapes and ranges, the fusion that is shared, and what reaches the decoder."""

import pytest
import torch
from torch import Tensor, nn

from amd_das.networks.generator import Decoder, GeneratorConfig, OutputConv, SharedGenerators

TINY = GeneratorConfig(channels=2, layers=2, growth=2)


@pytest.fixture
def generators() -> SharedGenerators:
    torch.manual_seed(0)
    return SharedGenerators(TINY)


def has_gradient(network: nn.Module) -> bool:
    return any(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


@pytest.mark.parametrize(("height", "width"), [(240, 240), (64, 36), (8, 8)])
def test_images_keep_their_size_and_lie_in_range(generators: SharedGenerators, height: int, width: int) -> None:
    image = 100 * torch.randn(2, 1, height, width)
    for translated in (generators.mri_to_ct(image), generators.ct_to_mri(image)):
        assert translated.image.shape == (2, 1, height, width)
        assert translated.image.abs().max() <= 1
        assert translated.features.shape == (2, 8, height // 4, width // 4)


@pytest.mark.parametrize("shape", [(1, 1, 62, 64), (1, 1, 64, 4), (1, 3, 64, 64), (1, 64, 64)])
def test_other_shapes_are_refused(generators: SharedGenerators, shape: tuple[int, ...]) -> None:
    for translate in (generators.mri_to_ct, generators.ct_to_mri):
        with pytest.raises(ValueError, match=r"expected a \(N, 1, H, W\) image with H and W multiples of 4.*pad or"):
            translate(torch.zeros(shape))


def test_the_image_is_float32_under_autocast(generators: SharedGenerators) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        translated = generators.mri_to_ct(torch.zeros(1, 1, 16, 16))
    assert translated.image.dtype == torch.float32
    assert translated.features.dtype == torch.bfloat16


def test_one_fusion_module_learns_from_both_directions(generators: SharedGenerators) -> None:
    (fusion,) = generators.fusions
    image = torch.randn(1, 1, 16, 16)
    for translate in (generators.mri_to_ct, generators.ct_to_mri):
        generators.zero_grad()
        translate(image).image.sum().backward()
        assert has_gradient(fusion)


def test_a_direction_moves_its_own_encoder_and_decoder_alone(generators: SharedGenerators) -> None:
    generators.mri_to_ct(torch.randn(1, 1, 16, 16)).image.sum().backward()
    assert has_gradient(generators.encoder_mri) and has_gradient(generators.decoder_ct)
    assert not has_gradient(generators.encoder_ct) and not has_gradient(generators.decoder_mri)


def test_fusions_can_be_two() -> None:
    generators = SharedGenerators(GeneratorConfig(channels=2, layers=2, growth=2, shared_fusion=False))
    of_mri, of_ct = generators.fusions
    generators.ct_to_mri(torch.randn(1, 1, 16, 16)).features.square().sum().backward()
    assert has_gradient(of_ct) and not has_gradient(of_mri)


def test_features_teach_the_encoder_too(generators: SharedGenerators) -> None:
    """A loss on the features alone reaches the encoder: nothing is detached on the way."""
    generators.ct_to_mri(torch.randn(1, 1, 16, 16)).features.square().sum().backward()
    assert has_gradient(generators.encoder_ct)


@pytest.mark.parametrize("skip", [True, False])
def test_the_decoder_sees_the_encoding_beside_the_features(skip: bool) -> None:
    torch.manual_seed(0)
    decoder = Decoder(GeneratorConfig(channels=2, skip=skip))
    encoding, features = (torch.randn(1, 8, 4, 4, requires_grad=True) for _ in range(2))
    decoder(encoding, features).sum().backward()
    assert features.grad is not None
    assert (encoding.grad is not None) == skip


@pytest.mark.parametrize("direction", ["mri_to_ct", "ct_to_mri"])
def test_images_of_a_batch_do_not_mix(generators: SharedGenerators, direction: str) -> None:
    translate = getattr(generators.eval(), direction)
    images: Tensor = torch.randn(3, 1, 16, 16)
    alone = torch.cat([translate(image[None]).image for image in images])
    assert torch.allclose(translate(images).image, alone, atol=1e-5)


def test_every_parameter_gets_a_gradient(generators: SharedGenerators) -> None:
    image = torch.randn(1, 1, 16, 16)
    (generators.mri_to_ct(image).image.sum() + generators.ct_to_mri(image).image.sum()).backward()
    assert [name for name, p in generators.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_config_survives_json_and_refuses_nonsense() -> None:
    assert GeneratorConfig.from_record({"channels": 3, "shared_fusion": False}).width == 12
    with pytest.raises(ValueError, match=r"'layers': 0.*expected at least 1 each"):
        GeneratorConfig(layers=0)
    with pytest.raises(TypeError, match="depth"):
        GeneratorConfig.from_record({"depth": 3})


def test_the_output_convolution_is_a_convolution() -> None:
    torch.manual_seed(0)
    for out_channels, bias in ((1, True), (3, False)):
        quick = OutputConv(2, out_channels, 7, bias=bias)
        plain = nn.Conv2d(2, out_channels, 7, bias=bias)
        plain.load_state_dict(quick.state_dict())
        image = torch.randn(2, 2, 16 + 6, 24 + 6, requires_grad=True)
        found, expected = quick(image), plain(image)
        assert torch.allclose(found, expected, atol=1e-5)
        weights = torch.randn_like(found)
        for parameters in ((quick.weight, plain.weight), (image, image)):
            one = torch.autograd.grad((found * weights).sum(), parameters[0], retain_graph=True)[0]
            other = torch.autograd.grad((expected * weights).sum(), parameters[1], retain_graph=True)[0]
            assert torch.allclose(one, other, atol=1e-4)
